"""Data sets and loaders."""

from perceptrain_core.data import (
    DictDataLoader,
    GenerativeIterableDataset,
    InfiniteTensorDataset,
    R3Dataset,
    ValidationSets,
    data_to_device,
    map_arrays,
    read_columns,
    to_dataloader,
)
from perceptrain_core.types import OptimizeResult

__all__ = [
    "DictDataLoader",
    "GenerativeIterableDataset",
    "InfiniteTensorDataset",
    "R3Dataset",
    "ValidationSets",
    "data_to_device",
    "map_arrays",
    "read_columns",
    "to_dataloader",
    "OptimizeResult",
]
