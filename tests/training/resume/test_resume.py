"""A run that goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from perceptrain import Callback, Trainer, to_dataloader, write_checkpoint
from perceptrain.callbacks import EarlyStopping, SaveBestCheckpoint, SaveCheckpoint
from perceptrain.errors import CheckpointError, TrainingError

from ...shared import noisy_net, same

MakeTrainer = Callable[..., Trainer]


def state(trainer: Trainer) -> dict[str, Any]:
    return {"model": trainer.model.state_dict(), "optimizer": trainer.optimizer.state_dict()}


def own_generator() -> torch.Generator:
    return torch.Generator().manual_seed(11)


LOADERS: dict[str, Callable[[Any], Any]] = {
    "tensors": lambda rows: rows,
    "to_dataloader": lambda rows: to_dataloader(*rows, batch_size=6, shuffle=True),
    "DataLoader": lambda rows: DataLoader(TensorDataset(*rows), batch_size=6, shuffle=True),
    "own generator": lambda rows: to_dataloader(
        *rows, batch_size=6, shuffle=True, generator=own_generator()
    ),
    "DataLoader with its own": lambda rows: DataLoader(
        TensorDataset(*rows), batch_size=6, shuffle=True, generator=own_generator()
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "optimizer", "stop"),
    [
        *((kind, "adam", stop) for kind, stop in zip(LOADERS, (4, 1, 4, 1, 4), strict=True)),
        ("tensors", {"name": "sgd", "lr": 0.05, "momentum": 0.9}, 1),
    ],
)
def test_resumed_run_is_bit_identical_to_one_that_was_never_stopped(
    make_trainer: MakeTrainer, rows: Any, kind: str, optimizer: Any, stop: int
) -> None:
    """No epoch is repeated, none is added, and random numbers go on where they were."""

    def trainer(epochs: int, folder: str) -> Trainer:
        return make_trainer(
            model=noisy_net(),
            optimizer=optimizer,
            data=LOADERS[kind](rows),
            val=rows,
            val_every=2,
            shuffle=True,
            max_iter=epochs,
            seed=5,
            checkpoint_every=1,
            log_folder=folder,
        )

    whole = trainer(7, "whole")
    whole.fit()
    trainer(stop, "parts").fit()
    torch.rand(99)  # another process starts with other random numbers
    resumed = trainer(7, "parts")
    resumed.fit(resume=True)
    assert same(state(whole), state(resumed))
    assert whole.history == resumed.history
    assert len(resumed.history) == 7
    assert resumed.global_step == whole.global_step
    assert resumed.batches_seen == whole.batches_seen
    assert resumed.current_epoch == 7


def test_epochs_are_the_total(make_trainer: MakeTrainer) -> None:
    make_trainer(max_iter=3, checkpoint_every=1).fit()
    seen: list[int] = []
    callback = Callback("train_epoch_start", callback=lambda t, c, w: seen.append(t.current_epoch))
    make_trainer(max_iter=5, callbacks=[callback]).fit(resume=True)
    assert seen == [4, 5]
    seen.clear()
    done = make_trainer(max_iter=3, callbacks=[callback])
    done.fit(resume=True)
    assert seen == []
    assert (done.current_epoch, len(done.history)) == (3, 3)


def test_batch_stages_go_on_counting(make_trainer: MakeTrainer) -> None:
    seen: list[int] = []
    callback = Callback("train_batch_end", 3, lambda t, c, w: seen.append(t.global_step))
    make_trainer(max_iter=1, checkpoint_every=1, callbacks=[callback]).fit()
    make_trainer(max_iter=3, checkpoint_every=1, callbacks=[callback]).fit(resume=True)
    assert seen == [3, 6, 9, 12]


@pytest.mark.parametrize("wrong", [5, 3.0, ["first"]])
def test_neither_a_bool_nor_a_path(make_trainer: MakeTrainer, wrong: Any) -> None:
    with pytest.raises(TrainingError, match=r"resume=.*: expected True or False, or the path of"):
        make_trainer().fit(resume=wrong)


@pytest.mark.parametrize("what", ["file", "folder", "text"])
def test_from_a_path(
    make_trainer: MakeTrainer, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make_trainer(max_iter=4, checkpoint_every=2, log_folder="first")
    first.fit()
    path = first.log_folder / "checkpoint_epoch_000002.pt"
    source: Any = {"file": path, "folder": first.log_folder, "text": str(path)}[what]
    trainer = make_trainer(max_iter=6, write_every=1, log_folder="elsewhere", verbose=True)
    trainer.fit(resume=source)
    told = (
        "has later checkpoints beside it; until this run has passed them, a resume without a path"
    )
    assert (told in capsys.readouterr().out) == (what != "folder")
    start = 4 if what == "folder" else 2
    assert trainer.history[:start] == first.history[:start]
    assert len(trainer.history) == 6
    assert trainer.log_folder == first.log_folder
    written = (first.log_folder / "metrics.csv").read_text().split()[1:]
    assert [int(line.split(",")[0]) for line in written] == list(range(start + 1, 7))


def test_nothing_to_resume(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    with pytest.warns(UserWarning, match="Nothing to resume: no checkpoint in"):
        trainer.fit(resume=True)
    assert len(trainer.history) == 2


def test_path_without_a_checkpoint(make_trainer: MakeTrainer, here: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        make_trainer().fit(resume="missing.pt")
    with pytest.raises(CheckpointError, match="There are no checkpoints in"):
        make_trainer().fit(resume=here)


@pytest.mark.parametrize("resume", [True, "runs"])
def test_checkpoints_of_the_older_package_are_not_passed_over(
    make_trainer: MakeTrainer, here: Path, resume: Any
) -> None:
    (here / "runs").mkdir()
    (here / "runs" / "model_FFNN_ckpt_003_device_cpu.pt").touch()
    trainer = make_trainer()
    with pytest.raises(CheckpointError, match=r"runs is from perceptrain 0\.1\.0 .*weights\.pt"):
        trainer.fit(resume=resume)
    assert not trainer.history


def test_none_can_be_read_is_no_fresh_start(make_trainer: MakeTrainer) -> None:
    first = make_trainer(checkpoint_every=1)
    first.fit()
    for path in first.log_folder.iterdir():
        path.write_bytes(b"")
    again = make_trainer(checkpoint_every=1)
    with (
        pytest.warns(UserWarning, match="is damaged"),
        pytest.raises(CheckpointError, match="None of the 2 checkpoints"),
    ):
        again.fit(resume=True)
    assert again.history == []


def test_changed_model_is_told_and_not_touched(
    make_trainer: MakeTrainer, make_net: Callable[..., nn.Module]
) -> None:
    make_trainer(checkpoint_every=1).fit()
    trainer = make_trainer(model=make_net(2, 9, 1))
    before = [p.detach().clone() for p in trainer.model.parameters()]
    with pytest.raises(CheckpointError, match=r"weight: shape \(9, 2\) here, \(8, 2\) saved"):
        trainer.fit(resume=True)
    assert all(map(torch.equal, before, trainer.model.parameters()))


def test_model_without_a_run(make_trainer: MakeTrainer, here: Path) -> None:
    trainer = make_trainer()
    path = write_checkpoint(here, trainer.model, trainer.optimizer, 3)
    with pytest.raises(CheckpointError, match="no run to resume: load it with load_checkpoint"):
        trainer.fit(resume=path)


def test_newest_of_several_runs(make_trainer: MakeTrainer) -> None:
    folders = []
    for _ in range(3):
        trainer = make_trainer(checkpoint_every=1)
        trainer.fit()
        folders.append(trainer.log_folder)
    assert [folder.name for folder in folders] == ["runs", "run-2", "run-3"]
    again = make_trainer(max_iter=3, checkpoint_every=1)
    again.fit(resume=True)
    assert again.log_folder == folders[2]


def test_full_disk_stops_the_run(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not logged and forgotten."""

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    trainer = make_trainer(checkpoint_every=1)
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        trainer.fit()
    assert list(trainer.log_folder.iterdir()) == []
    assert len(trainer.history) == 1


def test_a_run_that_is_complete_says_so(
    make_trainer: MakeTrainer, capsys: pytest.CaptureFixture[str]
) -> None:
    trainer = make_trainer(max_iter=3, checkpoint_every=3, verbose=True)
    trainer.fit()
    trainer.fit(resume=True)
    assert len(trainer.history) == 3
    assert (
        "Nothing left to train: checkpoint_epoch_000003.pt has 3 epochs, and max_iter is 3."
        in capsys.readouterr().out
    )


def test_another_loss_than_in_the_checkpoint_is_told(make_trainer: MakeTrainer) -> None:
    make_trainer("huber", checkpoint_every=1).fit()
    other = make_trainer("mse", checkpoint_every=1, max_iter=3)
    told = "loss: perceptrain-core/huber then, perceptrain-core/mse now"
    with pytest.warns(UserWarning, match=told):
        other.fit(resume=True)


def test_what_is_put_back_at_the_end_is_not_what_a_run_goes_on_from(
    make_trainer: MakeTrainer,
) -> None:
    def trainer(epochs: int, folder: str) -> Trainer:
        stopping = EarlyStopping("train_epoch_end", 1, "train_loss", 99, "max", restore_best=True)
        callbacks = [stopping, SaveCheckpoint("train_end")]
        return make_trainer(max_iter=epochs, log_folder=folder, callbacks=callbacks)

    whole = trainer(4, "whole")
    whole.fit()
    trainer(2, "parts").fit()
    again = trainer(4, "parts")
    again.fit(resume=True)
    assert same(state(whole), state(again))
    assert whole.history == again.history


def test_a_run_that_was_at_its_end_stays_there(make_trainer: MakeTrainer) -> None:
    def trainer() -> Trainer:
        return make_trainer(
            max_iter=6, checkpoint_every=1, trainstop_criterion=lambda result: result.iteration > 1
        )

    trainer().fit()
    again = trainer()
    again.fit(resume=True)
    assert len(again.history) == 2


def test_the_best_loss_is_in_the_checkpoint_of_its_epoch(
    make_trainer: MakeTrainer, rows: Any
) -> None:
    best = SaveBestCheckpoint()
    trainer = make_trainer(
        max_iter=1, val=rows, val_every=1, callbacks=[SaveCheckpoint(), best], log_folder="one"
    )
    trainer.fit()
    saved = torch.load(trainer.log_folder / "checkpoint_epoch_000001.pt", weights_only=True)
    assert saved["callbacks"]["SaveBestCheckpoint"] == {
        "best_loss": best.best_loss,
        "monitor": "val_loss",
    }
    assert best.best_loss < float("inf")


def test_runs_of_other_folders_are_others(make_trainer: MakeTrainer) -> None:
    make_trainer(max_iter=1, checkpoint_every=1, log_folder="experiment").fit()
    with pytest.warns(UserWarning, match="Nothing to resume"):
        make_trainer(max_iter=1).fit(resume=True)


def test_a_call_can_refuse_what_the_settings_ask_for(make_trainer: MakeTrainer) -> None:
    make_trainer(max_iter=1, checkpoint_every=1).fit()
    trainer = make_trainer(max_iter=1, checkpoint_every=1, resume=True)
    trainer.fit(resume=False)
    assert trainer.log_folder.name == "run-2"
