"""The types of the loss contract."""

from perceptrain_core.types import (
    ExecutionType,
    ExperimentTrackingTool,
    LeastSquaresLoss,
    LossFunction,
    Residuals,
    TBatch,
    TData,
)

__all__ = [
    "ExecutionType",
    "ExperimentTrackingTool",
    "LeastSquaresLoss",
    "LossFunction",
    "Residuals",
    "TBatch",
    "TData",
]
