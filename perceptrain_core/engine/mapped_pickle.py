"""Pickle objects for other processes of this machine, without the data of files they map."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perceptrain_core.data.support.rows import as_rows, mapped_array

# How a file is mapped again; a private copy of it ("c") has values that the file has not.
_MODES = {"r": "r", "r+": "r+", "w+": "r+"}
_COMPARED, _PAGE = 64, 4096


class MappedPickler(cloudpickle.Pickler):  # type: ignore[misc]
    """A pickler of cloudpickle that sends the place of mapped data in a file, not the data.

    It does so for arrays of ``np.memmap``, views of them, tensors that loaders made of them, and
    tensors of ``torch.from_file(shared=True)``. The process that loads the pickle maps the file
    again. Private maps, and maps of a file that has been replaced since, are copied as usual.
    """

    def reducer_override(self, obj: Any) -> Any:
        """Return how an object is pickled, ``NotImplemented`` for the usual way."""
        if type(obj) in (np.memmap, np.ndarray):
            found = _in_file(obj)
        elif type(obj) is Tensor:
            array = mapped_array(obj)
            found = _tensor_in_file(obj) if array is None else (as_rows, (array,))
        else:
            found = None
        return super().reducer_override(obj) if found is None else found


def _in_file(array: NDArray[Any]) -> tuple[Any, ...] | None:
    root: Any = array
    while isinstance(root.base, np.ndarray):
        if isinstance(root, np.ma.MaskedArray):
            return None
        root = root.base
    if not isinstance(root, np.memmap) or not isinstance(root.base, mmap.mmap):
        return None
    mode, path = _MODES.get(root.mode), root.filename
    if mode is None or path is None or not _is_unchanged(root, Path(path)):
        return None
    if root is array:
        order = "C" if root.flags.c_contiguous else "F"
        return np.memmap, (str(path), root.dtype, mode, root.offset, root.shape, order)
    start = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    return _view, (type(array), root, array.shape, array.dtype, start, array.strides)


def _view(
    kind: type[NDArray[Any]],
    root: NDArray[Any],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    start: int,
    strides: tuple[int, ...],
) -> NDArray[Any]:
    memory = root.reshape(-1, order="A").view(np.uint8)
    return np.ndarray(shape, dtype, memory, start, strides).view(kind)


def _is_unchanged(root: NDArray[Any], path: Path) -> bool:
    """Whether a file still holds what was mapped from it, as far as a few pages show."""
    memory = root.reshape(-1, order="A").view(np.uint8)
    offset: int = root.offset  # type: ignore[attr-defined]
    try:
        with path.open("rb") as file:
            for start in np.linspace(0, max(0, len(memory) - _PAGE), _COMPARED, dtype=np.int64):
                file.seek(offset + int(start))
                if file.read(_PAGE)[: len(memory)] != memory[start : start + _PAGE].tobytes():
                    return False
    except OSError:
        return False
    return True


def _tensor_in_file(tensor: Tensor) -> tuple[Any, ...] | None:
    if tensor.device.type != "cpu" or tensor.layout is not torch.strided or tensor.requires_grad:
        return None
    storage = tensor.untyped_storage()
    if storage.filename is None or vars(tensor) or not Path(storage.filename).exists():
        return None
    place = tensor.storage_offset(), tensor.shape, tensor.stride()
    return _mapped_tensor, (storage.filename, storage.nbytes(), tensor.dtype, *place)


def _mapped_tensor(
    path: str,
    size: int,
    dtype: torch.dtype,
    offset: int,
    shape: tuple[int, ...],
    stride: tuple[int, ...],
) -> Tensor:
    storage: Any = torch.UntypedStorage.from_file(path, shared=True, nbytes=size)
    return torch.empty(0, dtype=dtype).set_(storage, offset, shape, stride)
