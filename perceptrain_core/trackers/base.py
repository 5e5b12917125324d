"""What a tracker is: where the metrics, settings, pictures and model of a run go."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from shutil import get_terminal_size
from typing import Any

from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.figures import PlottingFunctions
from perceptrain_core.types import Loader, OptimizeResult


class Tracker:
    """Takes what a run reports. Every method does nothing until a subclass needs it.

    A tracker is opened when a run starts and closed when it ends, also when it ends in an error.
    It writes below ``config.log_folder``, which is the folder of this very run.
    """

    def open(self, config: TrainConfig, iteration: int = 0) -> None:
        """Get ready.

        Args:
            config: The settings of the run; ``log_folder`` is its own folder.
            iteration: The epoch the run goes on from; 0 for a fresh one.
        """

    def fail(self, error: BaseException) -> None:
        """Know that the run was ended by an error; `close` comes next."""

    def close(self) -> None:
        """Write what is left, and let go."""

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Take the metrics of an epoch, numbers under ``train_NAME`` and ``val_NAME``."""

    def print_metrics(self, result: OptimizeResult) -> None:
        """Print the metrics of an epoch: one line, but for a terminal that it is too long for."""
        width = get_terminal_size().columns if sys.stdout.isatty() else None
        print(format_metrics(result, width))

    def log_hyperparams(self, hyperparams: Mapping[str, Any]) -> None:
        """Take the user's settings."""

    def plot(
        self,
        model: nn.Module,
        iteration: int,
        plotting_functions: PlottingFunctions,
    ) -> None:
        """Take pictures: each function gives a name and a matplotlib figure."""

    def log_model(
        self,
        model: nn.Module,
        train_dataloader: Loader | None = None,
        val_dataloader: Loader | None = None,
        test_dataloader: Loader | None = None,
    ) -> None:
        """Take the trained model; the data are there for trackers that want an example."""


def format_metrics(result: OptimizeResult, width: int | None = None) -> str:
    """Give the epoch and each metric, in columns that stay where they are from line to line.

    Args:
        result: What to tell of.
        width: Make a block of lines of what is longer than so many characters; by default it is
            one line.
    """
    head = f"epoch {result.iteration:>6}"
    values = {name: _number(value) for name, value in named_values(result).items()}
    line = "  ".join([head, *(f"{name} {value}" for name, value in values.items())])
    if width is None or len(line) <= width:
        return line
    widest = max(map(len, values))
    cells = [f"  {name:{widest}} {value}" for name, value in values.items()]
    columns = max(1, width // len(cells[0]))
    rows = (cells[start : start + columns] for start in range(0, len(cells), columns))
    return "\n".join([head, *map("".join, rows)])


def _number(value: float) -> str:
    """Give four digits at least, and decimal points that stand below each other."""
    plain = value == 0 or 1e-3 <= abs(value) < 1e3
    return f"{value:11.6f}" if plain else f"{value:11.4e}"


def named_values(result: OptimizeResult) -> dict[str, float]:
    """Give the metrics as numbers, after the loss where they do not hold it: on batch stages."""
    values = {name: float(value) for name, value in result.metrics.items()}
    if result.loss is None or any(name.endswith("_loss") for name in values):
        return values
    return {"loss": float(result.loss), **values}
