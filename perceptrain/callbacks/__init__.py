"""Callbacks."""

from perceptrain_core.callbacks import (
    Callback,
    EarlyStopping,
    GradientMonitoring,
    LoadCheckpoint,
    LogHyperparameters,
    LogModelTracker,
    LRSchedulerCosineAnnealing,
    LRSchedulerCyclic,
    LRSchedulerReduceOnPlateau,
    LRSchedulerStepDecay,
    PrintMetrics,
    SaveBestCheckpoint,
    SaveCheckpoint,
    WriteMetrics,
    WritePlots,
    get_writer,
)

__all__ = [
    "Callback",
    "EarlyStopping",
    "GradientMonitoring",
    "LoadCheckpoint",
    "LogHyperparameters",
    "LogModelTracker",
    "LRSchedulerCosineAnnealing",
    "LRSchedulerCyclic",
    "LRSchedulerReduceOnPlateau",
    "LRSchedulerStepDecay",
    "PrintMetrics",
    "SaveBestCheckpoint",
    "SaveCheckpoint",
    "WriteMetrics",
    "WritePlots",
    "get_writer",
]
