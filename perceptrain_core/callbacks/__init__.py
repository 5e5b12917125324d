"""Callbacks: code that runs at stages of the training loop. Each file has one callback."""

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.early_stopping import EarlyStopping
from perceptrain_core.callbacks.gradient_monitoring import GradientMonitoring
from perceptrain_core.callbacks.keep_best import KeepBest
from perceptrain_core.callbacks.live_plot_metrics import LivePlotMetrics
from perceptrain_core.callbacks.load_checkpoint import LoadCheckpoint
from perceptrain_core.callbacks.log_hyperparameters import LogHyperparameters
from perceptrain_core.callbacks.log_model_tracker import LogModelTracker
from perceptrain_core.callbacks.lr_scheduler_cosine_annealing import LRSchedulerCosineAnnealing
from perceptrain_core.callbacks.lr_scheduler_cyclic import LRSchedulerCyclic
from perceptrain_core.callbacks.lr_scheduler_reduce_on_plateau import LRSchedulerReduceOnPlateau
from perceptrain_core.callbacks.lr_scheduler_step_decay import LRSchedulerStepDecay
from perceptrain_core.callbacks.print_metrics import PrintMetrics
from perceptrain_core.callbacks.r3_sampling import R3Sampling
from perceptrain_core.callbacks.save_best_checkpoint import SaveBestCheckpoint
from perceptrain_core.callbacks.save_checkpoint import SaveCheckpoint
from perceptrain_core.callbacks.support.writer import get_writer
from perceptrain_core.callbacks.write_metrics import WriteMetrics
from perceptrain_core.callbacks.write_plots import WritePlots

__all__ = [
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
    "TrainerContext",
    "WriteMetrics",
    "WritePlots",
    "get_writer",
]
