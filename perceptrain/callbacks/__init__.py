"""The callback base class and the built-in callbacks."""

from perceptrain.callbacks import callback as callback
from perceptrain.callbacks import saveload as saveload
from perceptrain.callbacks import writer_registry as writer_registry
from perceptrain_core.callbacks import (
    Callback,
    EarlyStopping,
    GradientMonitoring,
    KeepBest,
    LivePlotMetrics,
    LoadCheckpoint,
    LogHyperparameters,
    LogModelTracker,
    LRSchedulerCosineAnnealing,
    LRSchedulerCyclic,
    LRSchedulerReduceOnPlateau,
    LRSchedulerStepDecay,
    PrintMetrics,
    R3Sampling,
    SaveBestCheckpoint,
    SaveCheckpoint,
    TrainerContext,
    WriteMetrics,
    WritePlots,
    get_writer,
)

__all__ = [
    "TrainerContext",
    "Callback",
    "EarlyStopping",
    "GradientMonitoring",
    "KeepBest",
    "LivePlotMetrics",
    "LoadCheckpoint",
    "LogHyperparameters",
    "LogModelTracker",
    "LRSchedulerCosineAnnealing",
    "LRSchedulerCyclic",
    "LRSchedulerReduceOnPlateau",
    "LRSchedulerStepDecay",
    "PrintMetrics",
    "R3Sampling",
    "SaveBestCheckpoint",
    "SaveCheckpoint",
    "WriteMetrics",
    "WritePlots",
    "get_writer",
]
