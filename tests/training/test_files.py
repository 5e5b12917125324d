"""Where a run leaves its files, and when it leaves none."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from perceptrain import Callback, Trainer

MakeTrainer = Callable[..., Trainer]


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("tool", ["csv", "mlflow", "tensorboard", "none"])
def test_nothing_is_written_unless_asked(
    make_trainer: MakeTrainer, rows: Any, here: Path, tool: str
) -> None:
    trainer = make_trainer(tracking_tool=tool, val=rows, test=rows, val_every=1)
    trainer.fit()
    trainer.validate()
    trainer.test()
    assert list(here.iterdir()) == []


def test_runs_are_the_default_root(make_trainer: MakeTrainer, here: Path) -> None:
    make_trainer(write_every=1).fit()
    assert list(files(here)) == ["runs/metrics.csv"]


def test_second_run_does_not_touch_the_first(make_trainer: MakeTrainer, here: Path) -> None:
    settings = {"root_folder": "out", "log_folder": "a/b", "write_every": 1, "checkpoint_every": 1}
    first = make_trainer(**settings)
    first.fit()
    before = files(here)
    second = make_trainer(**settings)
    second.fit()
    second.fit()
    assert first.log_folder == here / "out/a/b"
    assert second.log_folder == here / "out/a/b/run-3"
    after = files(here)
    assert {name: after[name] for name in before} == before
    assert {str(Path(name).parent) for name in after} == {
        "out/a/b",
        "out/a/b/run-2",
        "out/a/b/run-3",
    }


def test_folder_that_a_person_made_is_used(make_trainer: MakeTrainer, here: Path) -> None:
    (here / "runs").mkdir()
    trainer = make_trainer(write_every=1)
    trainer.fit()
    assert trainer.log_folder == here / "runs"


def test_a_folder_for_each_run(make_trainer: MakeTrainer, here: Path) -> None:
    for _ in range(3):
        make_trainer(write_every=1, create_subfolder_per_run=True).fit()
    found = [path.parent for path in here.rglob("metrics.csv")]
    assert len(set(found)) == 3
    assert {path.parent for path in found} == {here / "runs"}


def test_absolute_folder(make_trainer: MakeTrainer, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.mktemp("elsewhere")
    trainer = make_trainer(write_every=1, log_folder=folder)
    trainer.fit()
    assert (folder / "metrics.csv").exists()


def test_the_settings_show_the_folder_of_the_latest_run(
    make_trainer: MakeTrainer, here: Path
) -> None:
    trainer = make_trainer(write_every=1, log_folder="a")
    seen = []
    trainer.config.callbacks = [
        Callback("train_start", callback=lambda *_: seen.append(trainer.config.log_folder))
    ]
    for folder in ("runs/a", "runs/a/run-2", "runs/a/run-3"):
        trainer.fit()
        assert trainer.config.log_folder == trainer.log_folder == seen.pop() == here / folder
        assert "metrics.csv" in os.listdir(trainer.config.log_folder)
    other = replace(trainer.config, max_iter=1)
    Trainer(trainer.model, trainer.optimizer, other, "mse", trainer.train_dataloader).fit()
    assert other.log_folder == here / "runs/a/run-4"
    Trainer(trainer.model, None, trainer.config).validate(trainer.train_dataloader)
    assert trainer.config.log_folder == here / "runs/a/run-3"


def test_settings_that_show_a_run_resume_it(make_trainer: MakeTrainer, here: Path) -> None:
    first = make_trainer(checkpoint_every=1)
    first.fit()
    later = make_trainer(checkpoint_every=1)
    later.fit()
    assert later.log_folder == here / "runs/run-2"
    first.config.max_iter = 3
    first.fit(resume=True)
    assert first.log_folder == first.config.log_folder == here / "runs"
    assert first.current_epoch == 3
    saved = torch.load(here / "runs/checkpoint_epoch_000003.pt", weights_only=True)
    assert saved["config"]["log_folder"] == "."


def test_settings_of_the_user(make_trainer: MakeTrainer, here: Path) -> None:
    make_trainer(hyperparams={"lr": 0.1}).fit()
    assert list(files(here)) == ["runs/hyperparams.json"]


def test_not_verbose_is_silent(
    make_trainer: MakeTrainer, rows: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """The bar is silent too."""
    trainer = make_trainer(
        val=rows,
        test=rows,
        val_every=1,
        print_every=1,
        write_every=1,
        checkpoint_every=1,
        progress=True,
    )
    trainer.fit()
    trainer.validate()
    trainer.test()
    assert capfd.readouterr() == ("", "")


def test_verbose_without_a_terminal_shows_no_bar(
    make_trainer: MakeTrainer, capfd: pytest.CaptureFixture[str]
) -> None:
    make_trainer(verbose=True).fit()
    assert capfd.readouterr() == ("", "")
