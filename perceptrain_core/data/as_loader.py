"""Turn any data that ``fit`` accepts into a loader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from perceptrain_core.data.dict_loader import DictDataLoader, NamedLoader
from perceptrain_core.data.support.loader_length import length_of
from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.errors import DataError
from perceptrain_core.tensors import promote_to_tensor
from perceptrain_core.types import Loader


def as_loader(data: Any, batch_size: int, shuffle: bool, role: str = "train") -> Loader:
    """Return a loader for any data that ``fit`` accepts.

    Args:
        data: A loader or any other iterable of batches, which comes back as it is. A tensor, a
            NumPy array or a tuple of such, of shape ``(N, ...)``. A dict of these or of loaders,
            which yields dicts of batches; rows of tensors of one length stay together. A data
            set: iterable, or map-style, which is one of torch, one with ``__getitems__``, or one
            with ``__len__`` and ``__getitem__`` that has no ``__iter__``.
        batch_size: Rows in a batch, where a loader has to be made.
        shuffle: Whether such a loader shuffles.
        role: Named in messages: ``train``, ``val`` or ``test``.

    Raises:
        DataError: The data yield no batches, or are a loader or tensor without a row.
    """
    rows = _rows(data)
    if rows is not None:
        return TensorLoader(*rows, batch_size=batch_size, shuffle=shuffle)
    if isinstance(data, Mapping):
        _check_not_empty(data, role)
        return _named(data, batch_size, shuffle, role)
    if _is_data_set(data):
        _check_data_set(data, role)
        shuffled = shuffle and not isinstance(data, IterableDataset)
        return DataLoader(data, batch_size=batch_size, shuffle=shuffled)
    if not _may_give_batches(data):
        raise DataError(
            f"The {role} data are of type {type(data).__name__}; expected a DataLoader or another "
            "iterable of batches, a tensor or NumPy array, a tuple or dict of such, or a Dataset."
            f"{_advice(data)}"
        )
    _check_not_empty(data, role)
    return data  # type: ignore[no-any-return]


def _rows(data: Any) -> tuple[Tensor, ...] | None:
    """Tensors and arrays of rows as tensors, if that is what the data are."""
    parts = data if isinstance(data, tuple) else (data,)
    if not parts or not all(isinstance(part, Tensor | np.ndarray) for part in parts):
        return None
    return tuple(promote_to_tensor(part) for part in parts)


def _named(data: Mapping[str, Any], batch_size: int, shuffle: bool, role: str) -> Loader:
    tensors = [rows[0] for part in data.values() if (rows := _rows(part)) and len(rows) == 1]
    if len(tensors) == len(data) and len({len(tensor) for tensor in tensors if tensor.ndim}) == 1:
        # One order for all: what looks like a row may be one.
        return NamedLoader(data, TensorLoader(*tensors, batch_size=batch_size, shuffle=shuffle))
    return DictDataLoader(
        {name: as_loader(part, batch_size, shuffle, role) for name, part in data.items()}
    )


def _is_data_set(data: Any) -> bool:
    if isinstance(data, Dataset) or hasattr(data, "__getitems__"):
        return True
    map_style = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    return map_style and not hasattr(data, "__iter__") and not isinstance(data, type)


def _may_give_batches(data: Any) -> bool:
    if isinstance(data, tuple | list) and any(isinstance(p, DataLoader | Dataset) for p in data):
        return False
    parts = data if isinstance(data, tuple) else (data,)
    if any(hasattr(part, "to_numpy") for part in parts):  # a data frame yields its column names
        return False
    return isinstance(data, Iterable) and not isinstance(data, str | bytes | type)


def _advice(data: Any) -> str:
    if isinstance(data, type) or callable(data):
        return " Call it, and pass what it returns."
    if isinstance(data, tuple | list):
        parts = " and ".join(dict.fromkeys(type(part).__name__ for part in data))
        if any(hasattr(part, "to_numpy") for part in data):
            return f" It holds {parts}: convert them, x.to_numpy()."
        return (
            f" It holds {parts}: pass one for training and one for validation, fit(train, val); "
            "a dict of loaders yields batches of several at once."
        )
    return " Convert it, x.to_numpy()." if hasattr(data, "to_numpy") else ""


def _check_data_set(data: Any, role: str) -> None:
    if not isinstance(data, IterableDataset) and length_of(data) is None:
        raise DataError(
            f"The {role} data set {type(data).__name__} has no __len__, so its rows cannot be "
            "counted. Give it one; or make it an IterableDataset, with __iter__."
        )
    _check_not_empty(data, role)


def _check_not_empty(data: Any, role: str) -> None:
    if isinstance(getattr(data, "dataset", data), IterableDataset):
        return  # its length may be a guess; the first epoch shows
    if length_of(data) != 0:
        return
    name, rows = type(data).__name__, length_of(getattr(data, "dataset", None))
    if rows and getattr(data, "drop_last", False):
        raise DataError(
            f"The {role} data are empty: the {name} has {rows} rows, which fill no batch of "
            f"{data.batch_size}, and drop_last=True. Make the batches smaller, or keep the last."
        )
    raise DataError(f"The {role} data are empty: the {name} has length 0.")
