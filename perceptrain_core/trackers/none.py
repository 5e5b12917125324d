"""The tracker that keeps nothing."""

from __future__ import annotations

from perceptrain_core.trackers.base import Tracker


class NoTracker(Tracker):
    """Take everything, keep nothing; metrics are still printed."""
