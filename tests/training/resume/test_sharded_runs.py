"""Runs with sharded checkpoints: the same runs as with files."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from perceptrain import TrainConfig, Trainer, load_checkpoint, load_model
from perceptrain.callbacks import LoadCheckpoint, SaveCheckpoint
from perceptrain.errors import CheckpointError
from perceptrain_core.checkpoints.folder import best_checkpoint, list_checkpoints
from perceptrain_core.checkpoints.kinds import read_checkpoint

from ...shared import noisy_net, same

MakeTrainer = Callable[..., Trainer]
Make = Callable[..., Trainer]


@pytest.fixture
def make(make_trainer: MakeTrainer, rows: Any) -> Make:
    """Make a trainer whose run has everything that a checkpoint saves."""

    def trainer(epochs: int, folder: str, **settings: Any) -> Trainer:
        usual = {
            "checkpoint_every": 1,
            "checkpoint_format": "sharded",
            "lr_scheduler": {"name": "exponential", "gamma": 0.9},
            "ema": 0.9,
        }
        plain = {"val": rows, "val_every": 2, "shuffle": True, "seed": 5, "batch_size": 6}
        parts = {"model": noisy_net(), "max_iter": epochs, "log_folder": folder}
        return make_trainer(**(plain | parts | usual | settings))

    return trainer


def content(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, without the settings, which name its folder and format."""
    state = read_checkpoint(path)
    del state["config"]
    return state


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("background", [False, True])
def test_folders_hold_what_files_hold_and_are_rotated(make: Make, background: bool) -> None:
    made = {}
    for kind in ("file", "sharded"):
        saving = SaveCheckpoint("train_batch_end", 3)
        trainer = make(
            4, kind, checkpoint_format=kind, async_checkpoints=background, callbacks=[saving]
        )
        trainer.fit()
        made[kind] = list_checkpoints(trainer.log_folder)
    files, folders = made.values()
    assert [path.stem for path in folders] == [path.stem for path in files]
    assert [path.suffix for path in folders] == [".dcp"] * 3
    assert "_batch_" in folders[1].name
    for file, folder in zip(files, folders, strict=True):
        assert same(content(file), content(folder))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["newest", "path", "damaged", "folder"])
def test_resumed_run_is_bit_identical_to_one_that_was_never_stopped(make: Make, how: str) -> None:
    whole = make(6, "whole")
    whole.fit()
    first = make(4, "parts")
    first.fit()
    newest, before, *_ = list_checkpoints(first.log_folder)
    resume: Any = {"path": before, "folder": first.log_folder}.get(how, True)
    if how == "damaged":
        (newest / "state.pt").write_bytes(b"half")
    torch.rand(99)
    resumed = make(6, "parts")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        resumed.fit(resume=resume)
    shown = [str(warning.message) for warning in caught]
    assert len(shown) == (how == "damaged")
    assert all("000004.dcp/state.pt is damaged" in text for text in shown)
    assert same(whole.model, resumed.model)
    assert same(whole.optimizer.state_dict(), resumed.optimizer.state_dict())
    assert whole.history == resumed.history


def test_format_changes_on_resuming(make: Make) -> None:
    whole = make(6, "whole")
    whole.fit()
    make(2, "parts", checkpoint_format="file").fit()
    make(4, "parts").fit(resume=True)
    resumed = make(6, "parts", checkpoint_format="file", keep_checkpoints=0)
    resumed.fit(resume=True)
    assert same(whole.model, resumed.model)
    kept = [
        path.name.removeprefix("checkpoint_epoch_") for path in list_checkpoints(resumed.log_folder)
    ]
    assert kept == ["000006.pt", "000005.pt", "000004.dcp", "000003.dcp", "000002.pt"]


def test_checkpoint_is_not_kept_in_both_formats(make: Make) -> None:
    make(3, "parts", checkpoint_format="file").fit()
    resumed = make(3, "parts")
    resumed.fit(resume=Path("runs/parts/checkpoint_epoch_000002.pt"))
    names = [path.name for path in list_checkpoints(resumed.log_folder)]
    assert names == [
        "checkpoint_epoch_000003.dcp",
        "checkpoint_epoch_000002.pt",
        "checkpoint_epoch_000001.pt",
    ]


def test_the_best_checkpoint(make: Make) -> None:
    trainer = make(4, "best", checkpoint_best_only=True, checkpoint_every=0, val_every=1)
    trainer.fit()
    path = best_checkpoint(trainer.log_folder)
    assert path.name == "checkpoint_best.dcp"
    assert [*trainer.log_folder.glob(".checkpoint*"), *trainer.log_folder.glob("*.pt")] == []
    best = min(trainer.history, key=lambda row: row["val_loss"])
    _, _, epoch = load_checkpoint(path, noisy_net())
    assert trainer.history[epoch - 1] == best


def test_loading_by_hand_and_by_callback(make: Make, make_trainer: MakeTrainer) -> None:
    trainer = make(2, "first")
    trainer.fit()
    newest = list_checkpoints(trainer.log_folder)[0]
    for source in (newest, trainer.log_folder):
        assert same(load_model(source, noisy_net()), trainer.model)
    second = make_trainer(model=noisy_net(), max_iter=0, callbacks=[LoadCheckpoint(path=newest)])
    second.fit()
    assert same(second.model, trainer.model)
    with pytest.raises(CheckpointError, match="does not fit the model"):
        load_model(newest, torch.nn.Linear(1, 1))


def test_a_folder_with_shards_alone_belongs_to_a_run(make: Make) -> None:
    make(1, "own", tracking_tool="none").fit()
    second = make(1, "own", tracking_tool="none")
    second.fit()
    assert second.log_folder.name == "run-2"


@pytest.mark.slow
def test_two_processes(forked_workers: None, make: Make) -> None:
    """They save and resume together; another number resumes from their checkpoint, too."""
    options = {"nprocs": 2, "batch_size": 5}
    whole = make(4, "whole", **options)
    whole.fit()
    make(2, "parts", **options, async_checkpoints=True).fit()
    resumed = make(4, "parts", **options, async_checkpoints=True)
    resumed.fit(resume=True)
    assert same(whole.model, resumed.model)
    assert whole.history == resumed.history
    assert {path.suffix for path in list_checkpoints(resumed.log_folder)} == {".dcp"}
    alone = make(5, "parts", batch_size=5)
    with pytest.warns(UserWarning, match="different number of processes; 2 then, 1 now"):
        alone.fit(resume=True)
    assert len(alone.history) == 5


def test_unknown_format() -> None:
    with pytest.raises(ValueError, match=r"checkpoint_format: .*'auto', 'file' or 'sharded'"):
        TrainConfig(checkpoint_format="folder")
