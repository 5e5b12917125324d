"""Log to several trackers at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.trackers.base import Tracker
from perceptrain_core.trackers.figures import PlottingFunctions, figures
from perceptrain_core.types import Loader, OptimizeResult


class SeveralTrackers(Tracker):
    """Forward every call to several trackers, in order.

    If a tracker raises an error, it is propagated, and all open trackers are still closed.

    Args:
        trackers: The trackers, at least one.
    """

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = tuple(trackers)
        self._opened: list[Tracker] = []

    def open(self, config: TrainConfig, iteration: int = 0) -> None:
        """Open each tracker; if one fails, close those before it."""
        try:
            for tracker in self.trackers:
                tracker.open(config, iteration)
                self._opened.append(tracker)
        except BaseException:
            self.close()
            raise

    def fail(self, error: BaseException) -> None:
        """Report the error to each tracker."""
        _call_all([partial(tracker.fail, error) for tracker in self._opened])

    def close(self) -> None:
        """Close each tracker."""
        opened, self._opened = self._opened, []
        _call_all([tracker.close for tracker in opened])

    def write(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics to each tracker."""
        for tracker in self.trackers:
            tracker.write(iteration, metrics)

    def write_step(self, step: int, iteration: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics to each tracker."""
        for tracker in self.trackers:
            tracker.write_step(step, iteration, metrics)

    def print_metrics(self, result: OptimizeResult) -> None:
        """Print through the first tracker only."""
        self.trackers[0].print_metrics(result)

    def log_hyperparams(self, hyperparams: Mapping[str, Any]) -> None:
        """Log the hyperparameters to each tracker."""
        for tracker in self.trackers:
            tracker.log_hyperparams(hyperparams)

    def plot(self, model: nn.Module, iteration: int, plotting_functions: PlottingFunctions) -> None:
        """Create each figure once, and log it to each tracker."""
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
        """Log the model to each tracker."""
        for tracker in self.trackers:
            tracker.log_model(model, train_dataloader, val_dataloader, test_dataloader)


def _call_all(calls: Sequence[Callable[[], None]]) -> None:
    """Make every call, then raise the first error."""
    errors = []
    for call in calls:
        try:
            call()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
