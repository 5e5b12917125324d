"""Built-in trackers pass; one bad tracker for every fault is told apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from perceptrain import Tracker, get_tracker
from perceptrain.errors import ConformanceError
from perceptrain.testing import check_tracker


@pytest.mark.parametrize("name", ["csv", "none", "tensorboard"])
def test_built_in_ones_pass(name: str) -> None:
    here = os.getcwd()
    check_tracker(get_tracker(name))
    assert os.getcwd() == here


class Lines(Tracker):
    """Writes a line for each epoch."""

    file: Any = None

    def open(self, config: Any, iteration: int = 0) -> None:
        Path(config.log_folder).mkdir(parents=True, exist_ok=True)
        self.file = (Path(config.log_folder) / "lines.txt").open("a")

    def close(self) -> None:
        self.file.close()

    def write(self, iteration: int, metrics: Any) -> None:
        self.file.write(f"{iteration} {sorted(metrics)}\n")


class Strays(Lines):
    def write(self, iteration: int, metrics: Any) -> None:
        Path("stray.txt").write_text("here")


class Overwrites(Lines):
    def open(self, config: Any, iteration: int = 0) -> None:
        Path(config.log_folder).mkdir(parents=True, exist_ok=True)
        self.file = (Path(config.log_folder) / "lines.txt").open("w")
        self.file.write("epochs\n" * (3 if iteration == 0 else 1))


class LeavesOpen(Lines):
    def close(self) -> None:
        self.file = None


class NeedsLoss(Lines):
    def write(self, iteration: int, metrics: Any) -> None:
        self.file.write(f"{metrics['train_loss']}\n")


class Prints(Lines):
    def write(self, iteration: int, metrics: Any) -> None:
        print("epoch", iteration)


class Changes(Lines):
    def write(self, iteration: int, metrics: Any) -> None:
        metrics.clear()


class Rigid(Lines):
    def write(self, iteration: int, metrics: Any) -> None:
        if "train_new" in metrics:
            raise KeyError("train_new")


class FailsBadly(Lines):
    def fail(self, error: BaseException) -> None:
        raise error


BAD: list[tuple[Any, str]] = [
    (print, "a subclass of perceptrain.Tracker was expected"),
    (Overwrites(), r"a resumed run leaves lines\.txt shorter than before"),
    (NeedsLoss(), "it raised KeyError: 'train_loss'"),
    (Strays(), "it wrote stray.txt outside the run folder"),
    (Prints(), "it printed 'epoch 1'; only print_metrics may print"),
    (Changes(), "it changed the metrics"),
    (Rigid(), "records a run, a resumed run and a second run: it raised KeyError"),
    (FailsBadly(), "closes after an error: it raised RuntimeError: the run failed"),
]


@pytest.mark.parametrize(("tracker", "message"), BAD, ids=lambda value: type(value).__name__)
def test_each_fault_is_told(tracker: Any, message: str) -> None:
    with pytest.raises(ConformanceError, match=message):
        check_tracker(tracker)


def test_one_of_ones_own_passes() -> None:
    check_tracker(Lines())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_file_that_stays_open_is_told() -> None:
    with pytest.raises(ConformanceError, match="close\\(\\) leaves a file open"):
        check_tracker(LeavesOpen())
