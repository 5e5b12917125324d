"""Data."""

from perceptrain_core.data import (
    DictDataLoader,
    InfiniteTensorDataset,
    data_to_device,
    to_dataloader,
)
from perceptrain_core.types import OptimizeResult

__all__ = [
    "DictDataLoader",
    "InfiniteTensorDataset",
    "data_to_device",
    "to_dataloader",
    "OptimizeResult",
]
