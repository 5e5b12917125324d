"""The base class of trackers, and how metrics are printed."""

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
    """Base class of trackers: subclasses override the methods that they need.

    By default, `print_metrics` prints, and all other methods do nothing. The trainer opens the
    tracker when a run starts and closes it when the run ends, even after an error. Trackers write
    to ``config.log_folder``, the folder of this run.
    """

    def open(self, config: TrainConfig, iteration: int = 0) -> None:
        """Start logging a run.

        Args:
            config: The settings of the run; ``log_folder`` is the folder of the run.
            iteration: The epoch from which the run is resumed; 0 for a new run.
        """

    def fail(self, error: BaseException) -> None:
        """Record that an error ended the run; `close` is called next."""

    def close(self) -> None:
        """Flush and release everything."""

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of an epoch, named ``train_NAME`` and ``val_NAME``."""

    def write_step(self, step: int, iteration: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of a validation inside an epoch; by default with `write`.

        Args:
            step: The number of optimizer steps so far.
            iteration: The epoch.
            metrics: The metrics, named ``val_NAME``.
        """
        self.write(iteration, {"step": step, **metrics})

    def print_metrics(self, result: OptimizeResult) -> None:
        """Print the metrics of an epoch on one line, or on several in a narrow terminal."""
        width = get_terminal_size().columns if sys.stdout.isatty() else None
        print(format_metrics(result, width))

    def log_hyperparams(self, hyperparams: Mapping[str, Any]) -> None:
        """Log the hyperparameters."""

    def plot(
        self,
        model: nn.Module,
        iteration: int,
        plotting_functions: PlottingFunctions,
    ) -> None:
        """Log the figures; each function returns a name and a matplotlib figure."""

    def log_model(
        self,
        model: nn.Module,
        train_dataloader: Loader | None = None,
        val_dataloader: Loader | None = None,
        test_dataloader: Loader | None = None,
    ) -> None:
        """Log the model; trackers may use the data as example inputs."""


def format_metrics(result: OptimizeResult, width: int | None = None) -> str:
    """Format the epoch and its metrics, in columns that align between calls.

    Args:
        result: The result to format.
        width: Wrap the text if it is longer than this; by default it is one line.
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
    """Format with at least four digits and aligned decimal points."""
    plain = value == 0 or 1e-3 <= abs(value) < 1e3
    return f"{value:11.6f}" if plain else f"{value:11.4e}"


def named_values(result: OptimizeResult) -> dict[str, float]:
    """Return the metrics as floats; on batch stages, preceded by the loss, which they lack."""
    values = {name: float(value) for name, value in result.metrics.items()}
    if result.loss is None or any(name.endswith("_loss") for name in values):
        return values
    return {"loss": float(result.loss), **values}
