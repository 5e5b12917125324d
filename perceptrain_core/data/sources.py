"""What ``fit`` takes as data: loaders as they are, plain tensors and data sets made into one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from perceptrain_core.data.dict_loader import DictDataLoader
from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.errors import DataError
from perceptrain_core.types import Loader


def as_loader(data: Any, batch_size: int, shuffle: bool, role: str = "train") -> Loader:
    """Make a loader of whatever a user gives as data.

    Args:
        data: A loader or any other iterable of batches, which comes back as it is; a tensor or a
            tuple of tensors of shape ``(N, ...)``; a dict of such, which gives dicts of batches;
            a map-style or iterable ``Dataset``.
        batch_size: Rows in a batch, where a loader has to be made.
        shuffle: Whether such a loader shuffles.
        role: Named in messages: ``train``, ``val`` or ``test``.

    Raises:
        DataError: Nothing that gives batches, or a loader or tensor without a single row.
    """
    if isinstance(data, Tensor):
        return TensorLoader(data, batch_size=batch_size, shuffle=shuffle)
    if isinstance(data, tuple) and data and all(isinstance(part, Tensor) for part in data):
        return TensorLoader(*data, batch_size=batch_size, shuffle=shuffle)
    if isinstance(data, Mapping):
        parts = {name: as_loader(part, batch_size, shuffle, role) for name, part in data.items()}
        return DictDataLoader(parts)
    if isinstance(data, Dataset):
        _not_empty(data, role)
        shuffled = shuffle and not isinstance(data, IterableDataset) and hasattr(data, "__len__")
        return DataLoader(data, batch_size=batch_size, shuffle=shuffled)
    if isinstance(data, Iterable) and not isinstance(data, str | bytes):
        return _not_empty(data, role)
    raise DataError(
        f"The {role} data are of type {type(data).__name__}; expected a DataLoader or another "
        "iterable of batches, a tensor, a tuple or dict of tensors, or a Dataset."
    )


def _not_empty(data: Any, role: str) -> Loader:
    try:
        length = len(data)
    except (TypeError, NotImplementedError):  # it has no length, or does not know it
        return data  # type: ignore[no-any-return]
    if length == 0:
        raise DataError(f"The {role} data are empty: the {type(data).__name__} has length 0.")
    return data  # type: ignore[no-any-return]
