"""Callbacks."""

from perceptrain_core.callbacks import (
    Callback,
    PrintMetrics,
    R3Sampling,
    SaveBestCheckpoint,
    SaveCheckpoint,
    WriteMetrics,
    WritePlots,
)

__all__ = [
    "Callback",
    "PrintMetrics",
    "R3Sampling",
    "SaveBestCheckpoint",
    "SaveCheckpoint",
    "WriteMetrics",
    "WritePlots",
]
