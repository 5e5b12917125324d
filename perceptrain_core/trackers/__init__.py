"""Trackers: they log the metrics, hyperparameters, figures and models of a run."""

from perceptrain_core.trackers.base import Tracker, format_metrics
from perceptrain_core.trackers.csv import CSVTracker
from perceptrain_core.trackers.mlflow import MLflowTracker
from perceptrain_core.trackers.none import NoTracker
from perceptrain_core.trackers.several import SeveralTrackers
from perceptrain_core.trackers.tensorboard import TensorBoardTracker

__all__ = [
    "CSVTracker",
    "MLflowTracker",
    "NoTracker",
    "SeveralTrackers",
    "TensorBoardTracker",
    "Tracker",
    "format_metrics",
]
