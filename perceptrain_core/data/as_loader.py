"""Turn any data that ``fit`` accepts into a loader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any, TypedDict, TypeVar

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from perceptrain_core.data.dict_loader import DictDataLoader, NamedLoader
from perceptrain_core.data.support.loader_length import length_of
from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.errors import DataError
from perceptrain_core.types import Loader
from perceptrain_core.user_warnings import warn_user

Created = TypeVar("Created", bound=DataLoader[Any])


#: How messages name the data of each role.
_ROLE = {"train": "training", "val": "validation", "test": "test"}


class Order(TypedDict):
    """How a loader that is created cuts its batches."""

    batch_size: int
    shuffle: bool
    drop_last: bool


def as_loader(
    data: Any, batch_size: int, shuffle: bool, role: str = "train", drop_last: bool = False
) -> Loader:
    """Return a loader for any data that ``fit`` accepts.

    Args:
        data: A loader or any other iterable of batches, which is returned unchanged. A tensor, a
            NumPy array or a tuple of them, of shape ``(N, ...)``. A dict of these or of loaders,
            which yields dicts of batches; tensors of the same length are shuffled together. A
            data set, iterable or map-style: a ``Dataset`` of torch, an object with
            ``__getitems__``, or one with ``__len__`` and ``__getitem__`` but no ``__iter__``.
        batch_size: Rows in a batch, if a loader has to be created.
        shuffle: Whether that loader shuffles.
        role: Named in messages: ``train``, ``val`` or ``test``.
        drop_last: Whether that loader leaves out a last batch that is not full.

    Raises:
        DataError: The data cannot yield batches, or are empty.

    Warns:
        UserWarning: The data are two pairs of tensors, of different lengths above ``batch_size``.
    """
    rows = _rows(data)
    order: Order = {"batch_size": batch_size, "shuffle": shuffle, "drop_last": drop_last}
    if rows is not None:
        return _not_empty(TensorLoader(*rows, **order), role)
    if isinstance(data, Mapping):
        _check_not_empty(data, role)
        return _named(data, order, role)
    if _is_data_set(data):
        _check_data_set(data, role)
        order["shuffle"] = shuffle and not isinstance(data, IterableDataset)
        return _not_empty(DataLoader(data, **order), role)
    if not _may_give_batches(data):
        raise DataError(
            f"The {_ROLE[role]} data are of type {type(data).__name__}; expected a DataLoader or "
            "another iterable of batches, a tensor or NumPy array, a tuple or dict of them, or a "
            "Dataset."
            f"{_advice(data)}"
        )
    _check_not_empty(data, role)
    _warn_of_whole_tables(data, batch_size, role)
    return data  # type: ignore[no-any-return]


def _rows(data: Any) -> tuple[Tensor | np.ndarray, ...] | None:
    """Return the tensors or arrays of rows that the data consist of, ``None`` for other data."""
    parts = data if isinstance(data, tuple) else (data,)
    if not parts or not all(isinstance(part, Tensor | np.ndarray) for part in parts):
        return None
    return parts


def _not_empty(loader: Created, role: str) -> Created:
    """Return a loader that was created, unless ``drop_last`` leaves it no batch."""
    _check_not_empty(loader, role)
    return loader


def _named(data: Mapping[str, Any], order: Order, role: str) -> Loader:
    tensors = [rows[0] for part in data.values() if (rows := _rows(part)) and len(rows) == 1]
    if len(tensors) == len(data) and len({len(tensor) for tensor in tensors if tensor.ndim}) == 1:
        # One order for all: tensors of the same length may hold the parts of the same rows.
        return NamedLoader(data, _not_empty(TensorLoader(*tensors, **order), role))
    return DictDataLoader(
        {name: as_loader(part, role=role, **order) for name, part in data.items()}
    )


def _is_data_set(data: Any) -> bool:
    if isinstance(data, Dataset) or hasattr(data, "__getitems__"):
        return True
    map_style = hasattr(data, "__getitem__") and hasattr(data, "__len__")
    return map_style and not hasattr(data, "__iter__") and not isinstance(data, type)


def _is_loader_or_data_set(data: Any) -> bool:
    if isinstance(data, DataLoader | Dataset):
        return True
    # A batch of a class of its own may have a length, but then it is moved to a device.
    return _is_data_set(data) and not hasattr(data, "to") and not is_dataclass(data)


def _may_give_batches(data: Any) -> bool:
    if isinstance(data, tuple | list) and any(map(_is_loader_or_data_set, data)):
        return False
    parts = data if isinstance(data, tuple) else (data,)
    if len(parts) > 1 and any(map(_is_list_of_values, parts)):
        return False
    if any(hasattr(part, "to_numpy") for part in parts):  # a data frame yields its column names
        return False
    return isinstance(data, Iterable) and not isinstance(data, str | bytes | type)


def _is_list_of_values(part: Any) -> bool:
    return isinstance(part, list) and bool(part) and isinstance(part[0], str | int | float)


def _advice(data: Any) -> str:
    if isinstance(data, type) or callable(data):
        return " Call it, and pass what it returns."
    if isinstance(data, tuple | list):
        parts = " and ".join(dict.fromkeys(type(part).__name__ for part in data))
        if any(hasattr(part, "to_numpy") for part in data):
            return f" It holds {parts}: convert them, x.to_numpy()."
        if any(map(_is_list_of_values, data)):
            return (
                f" It holds {parts}: convert lists, torch.tensor(values), and text to numbers "
                "before."
            )
        return (
            f" It holds {parts}: pass one for training and one for validation, fit(train, val); "
            "a dict of loaders yields batches of several at once."
        )
    return " Convert it, x.to_numpy()." if hasattr(data, "to_numpy") else ""


def _warn_of_whole_tables(data: Any, batch_size: int, role: str) -> None:
    """Warn of two large pairs of tensors, which may be meant as training and validation data."""
    if not isinstance(data, tuple | list) or len(data) != 2 or batch_size == 1:
        return
    tables = [rows if isinstance(pair, tuple) and (rows := _rows(pair)) else () for pair in data]
    if all(len(table) == 2 and all(map(_has_rows, table)) for table in tables):
        first, second = (len(table[0]) for table in tables)
        if first > second > batch_size:
            warn_user(
                f"The {_ROLE[role]} data are two pairs of tensors, so each pair is one batch, of "
                f"{first} and {second} rows, although batch_size={batch_size}. If they are for "
                "training and validation, pass fit(train, val); if they are batches, leave "
                "batch_size at 1."
            )


def _has_rows(tensor: Tensor | np.ndarray) -> bool:
    return tensor.ndim > 0


def _check_data_set(data: Any, role: str) -> None:
    if not isinstance(data, IterableDataset) and length_of(data) is None:
        raise DataError(
            f"The {_ROLE[role]} data set {type(data).__name__} has no __len__, so its rows cannot "
            "be counted. Implement __len__, or make it an IterableDataset with __iter__."
        )
    _check_not_empty(data, role)


def _check_not_empty(data: Any, role: str) -> None:
    if isinstance(getattr(data, "dataset", data), IterableDataset):
        return  # its length may be wrong; the first epoch will show
    if length_of(data) != 0:
        return
    name, rows = type(data).__name__, length_of(getattr(data, "dataset", None))
    if rows and getattr(data, "drop_last", False):
        raise DataError(
            f"The {_ROLE[role]} data are empty: the {name} has {rows} rows, fewer than "
            f"batch_size={data.batch_size}, and drop_last=True drops a batch that is not full. Use "
            "a smaller batch_size, or drop_last=False."
        )
    raise DataError(f"The {_ROLE[role]} data are empty: the {name} has length 0: pass some.")
