"""Callbacks."""

from perceptrain_core.callbacks import (
    Callback,
    PrintMetrics,
    SaveBestCheckpoint,
    SaveCheckpoint,
    WriteMetrics,
    WritePlots,
)

__all__ = [
    "Callback",
    "PrintMetrics",
    "SaveBestCheckpoint",
    "SaveCheckpoint",
    "WriteMetrics",
    "WritePlots",
]
