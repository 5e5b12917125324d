"""Several trackers at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.figures import PlottingFunctions, figures
from perceptrain_core.types import Loader, OptimizeResult


class SeveralTrackers(Tracker):
    """Give everything to each of several trackers, in their order.

    An error of one is raised; each one that was opened is closed all the same.

    Args:
        trackers: At least one.
    """

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = tuple(trackers)
        self._opened = ExitStack()

    def open(self, config: TrainConfig, iteration: int = 0) -> None:
        """Open each; if one cannot be, those before it are closed."""
        with ExitStack() as opened:
            for tracker in self.trackers:
                tracker.open(config, iteration)
                opened.callback(tracker.close)
            self._opened = opened.pop_all()

    def fail(self, error: BaseException) -> None:
        """Tell each."""
        with ExitStack() as told:
            for tracker in self.trackers:
                told.callback(tracker.fail, error)

    def close(self) -> None:
        """Close each."""
        self._opened.close()

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Give the metrics to each."""
        for tracker in self.trackers:
            tracker.write(iteration, metrics)

    def print_metrics(self, result: OptimizeResult) -> None:
        """Let the first one print, so that it is done once."""
        self.trackers[0].print_metrics(result)

    def log_hyperparams(self, hyperparams: Mapping[str, Any]) -> None:
        """Give the settings to each."""
        for tracker in self.trackers:
            tracker.log_hyperparams(hyperparams)

    def plot(self, model: nn.Module, iteration: int, plotting_functions: PlottingFunctions) -> None:
        """Make each picture once, and give it to each."""
        for picture in figures(model, iteration, plotting_functions):
            for tracker in self.trackers:
                tracker.plot(model, iteration, (lambda *_, picture=picture: picture,))

    def log_model(
        self,
        model: nn.Module,
        train_dataloader: Loader | None = None,
        val_dataloader: Loader | None = None,
        test_dataloader: Loader | None = None,
    ) -> None:
        """Give the model to each."""
        for tracker in self.trackers:
            tracker.log_model(model, train_dataloader, val_dataloader, test_dataloader)
