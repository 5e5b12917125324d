"""Trackers: where a run reports to."""

from perceptrain_core.trackers.base import Tracker, format_metrics
from perceptrain_core.trackers.csv import CSVTracker
from perceptrain_core.trackers.none import NoTracker
from perceptrain_core.trackers.tensorboard import TensorBoardTracker

__all__ = ["CSVTracker", "NoTracker", "Tracker", "TensorBoardTracker", "format_metrics"]
