"""What a tracker is: where the metrics, settings, pictures and model of a run go."""

from __future__ import annotations

from collections.abc import Mapping
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
        """Print the metrics of an epoch."""
        print(format_metrics(result))

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


def format_metrics(result: OptimizeResult) -> str:
    """Give one line: the epoch, then each metric with six digits."""
    values = [f"{name} {value:.6g}" for name, value in named_values(result).items()]
    return "  ".join([f"epoch {result.iteration:>6}", *values])


def named_values(result: OptimizeResult) -> dict[str, float]:
    """Give the metrics as numbers, after the loss where they do not hold it: on batch stages."""
    values = {name: float(value) for name, value in result.metrics.items()}
    if result.loss is None or any(name.endswith("_loss") for name in values):
        return values
    return {"loss": float(result.loss), **values}
