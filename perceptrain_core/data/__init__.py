"""Data: loaders for tensors in memory, data sets, and moving batches to a device."""

from perceptrain_core.data.as_loader import as_loader
from perceptrain_core.data.dict_loader import DictDataLoader
from perceptrain_core.data.generative import GenerativeIterableDataset
from perceptrain_core.data.infinite import InfiniteTensorDataset
from perceptrain_core.data.map_arrays import map_arrays
from perceptrain_core.data.r3 import R3Dataset
from perceptrain_core.data.support.device import data_to_device
from perceptrain_core.data.support.epochs import Epochs
from perceptrain_core.data.support.loader_length import is_infinite
from perceptrain_core.data.tables.read import read_columns
from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.data.to_dataloader import to_dataloader
from perceptrain_core.data.validation_sets import ValidationSets

__all__ = [
    "DictDataLoader",
    "Epochs",
    "GenerativeIterableDataset",
    "InfiniteTensorDataset",
    "R3Dataset",
    "TensorLoader",
    "ValidationSets",
    "as_loader",
    "data_to_device",
    "is_infinite",
    "map_arrays",
    "read_columns",
    "to_dataloader",
]
