"""Callbacks: what runs beside the training loop."""

from perceptrain_core.callbacks.base import Callback
from perceptrain_core.callbacks.context import TrainerContext
from perceptrain_core.callbacks.print_metrics import PrintMetrics
from perceptrain_core.callbacks.r3_sampling import R3Sampling
from perceptrain_core.callbacks.save_best_checkpoint import SaveBestCheckpoint
from perceptrain_core.callbacks.save_checkpoint import SaveCheckpoint
from perceptrain_core.callbacks.write_metrics import WriteMetrics
from perceptrain_core.callbacks.write_plots import WritePlots

__all__ = [
    "Callback",
    "PrintMetrics",
    "R3Sampling",
    "SaveBestCheckpoint",
    "SaveCheckpoint",
    "TrainerContext",
    "WriteMetrics",
    "WritePlots",
]
