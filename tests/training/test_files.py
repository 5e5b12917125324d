"""Where a run leaves its files, and when it leaves none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perceptrain import Trainer

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


def test_callbacks_are_told_the_folder_and_the_users_config_stays(
    make_trainer: MakeTrainer, here: Path
) -> None:
    trainer = make_trainer(write_every=1)
    trainer.fit()
    assert trainer.config.log_folder == Path("./")


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
