"""Tensors for the arrays of a user: arrays in memory are copied, arrays in files are not."""

from __future__ import annotations

import mmap
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from perceptrain_core.tensors import numpy_to_tensor

#: The arrays of tensors that share the memory of a file; a copy of such a tensor does not.
_ARRAYS: Any = WeakTensorKeyDictionary()


def as_rows(data: Tensor | np.ndarray) -> Tensor:
    """Return a tensor of the values of an array; a tensor is returned unchanged.

    An array in memory is copied. An array that is mapped from a file, as by
    ``np.load(path, mmap_mode="r")``, is not read: the tensor shares its memory, which must not be
    written to. Such an array is copied only if torch cannot represent it: for the other byte order,
    negative strides or values that are not aligned.

    Args:
        data: A tensor, or an array of numbers.

    Raises:
        DataError: The array contains anything but numbers, or masked values.
    """
    if isinstance(data, Tensor):
        return data
    if not _lies_in_file(data) or not _has_layout_of_torch(data):
        return numpy_to_tensor(data)
    with warnings.catch_warnings():
        # torch warns that a tensor cannot protect memory from writes; no loader here writes to it.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        tensor = torch.from_numpy(data)
    _ARRAYS[tensor] = data
    return tensor


def is_mapped(tensor: Tensor) -> bool:
    """Whether a tensor from `as_rows` shares the memory of a file."""
    return tensor in _ARRAYS


def mapped_array(tensor: Tensor) -> np.ndarray | None:
    """Return the array that `as_rows` made a tensor of, if it is mapped from a file."""
    return _ARRAYS.get(tensor)  # type: ignore[no-any-return]


def slice_rows(tensor: Tensor, start: int, stop: int) -> Tensor:
    """Return some rows: a view, or a copy if they lie in a file.

    The memory of a file may be read-only: writing to it would end the process.
    """
    rows = tensor[start:stop]
    return rows.clone(memory_format=torch.contiguous_format) if is_mapped(tensor) else rows


def _lies_in_file(array: np.ndarray) -> bool:
    """Whether an array is, or is a view of, one that is mapped from a file."""
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.ma.MaskedArray):
            return False
        owner = owner.base
    return isinstance(owner, mmap.mmap)


def _has_layout_of_torch(array: np.ndarray) -> bool:
    numbers = array.dtype.kind in "biufc" and array.dtype.isnative
    return numbers and array.flags.aligned and all(stride >= 0 for stride in array.strides)
