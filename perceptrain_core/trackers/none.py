"""The tracker that keeps nothing."""

from __future__ import annotations

from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import OptimizeResult


class NoTracker(Tracker):
    """Take everything, keep nothing; metrics are still printed."""


class SilentTracker(NoTracker):
    """Print nothing either: for all processes of a run but the first."""

    def print_metrics(self, result: OptimizeResult) -> None:
        """Do nothing."""
