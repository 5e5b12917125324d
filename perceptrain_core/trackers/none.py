"""The ``none`` tracker: logs nothing."""

from __future__ import annotations

from perceptrain_core.trackers.base import Tracker
from perceptrain_core.types import OptimizeResult


class NoTracker(Tracker):
    """Log nothing; metrics are still printed."""


class SilentTracker(NoTracker):
    """Log and print nothing; used by all processes of a run except the first."""

    def print_metrics(self, result: OptimizeResult) -> None:
        """Do nothing."""
