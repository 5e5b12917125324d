"""Several trackers at once."""

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
    """Give everything to each of several trackers, in their order.

    An error of one is raised; each one that was opened is closed all the same.

    Args:
        trackers: At least one.
    """

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        self.trackers = tuple(trackers)
        self._opened: list[Tracker] = []

    def open(self, config: TrainConfig, iteration: int = 0) -> None:
        """Open each; if one cannot be, those before it are closed."""
        try:
            for tracker in self.trackers:
                tracker.open(config, iteration)
                self._opened.append(tracker)
        except BaseException:
            self.close()
            raise

    def fail(self, error: BaseException) -> None:
        """Tell each."""
        _call_all([partial(tracker.fail, error) for tracker in self._opened])

    def close(self) -> None:
        """Close each."""
        opened, self._opened = self._opened, []
        _call_all([tracker.close for tracker in opened])

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


def _call_all(calls: Sequence[Callable[[], None]]) -> None:
    """Make every call, then raise the first error that there was."""
    errors = []
    for call in calls:
        try:
            call()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]
