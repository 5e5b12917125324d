"""The types of the loss contract."""

from perceptrain_core.types import (
    ExecutionType,
    ExperimentTrackingTool,
    LossFunction,
    TBatch,
    TData,
)

__all__ = ["ExecutionType", "ExperimentTrackingTool", "LossFunction", "TBatch", "TData"]
