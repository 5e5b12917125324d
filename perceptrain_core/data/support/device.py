"""Move a batch of any structure to a device, and its floating point tensors to a dtype."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from copy import copy
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from perceptrain_core.errors import DataError
from perceptrain_core.tensors import describe


def data_to_device(
    xs: Any,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    non_blocking: bool = False,
) -> Any:
    """Move every tensor of a batch to a device; the batch itself is not changed.

    Args:
        xs: A tensor, or tuples, lists, mappings, named tuples and dataclasses of tensors, nested
            to any depth. Any other object with a method ``to`` is moved by ``xs.to(device)``,
            without ``dtype``; the rest (``None``, strings, numbers) is returned unchanged.
        device: The target device; ``None`` leaves the tensors where they are.
        dtype: The dtype of real floating point tensors; integer labels and masks keep theirs.
        non_blocking: Passed to ``Tensor.to``; copies from pinned memory never block.

    Raises:
        DataError: A tensor is on the device "meta", and so has no values to move.

    Returns:
        The batch, of the same type. A tensor that needs no move is not copied.
    """
    if isinstance(xs, Tensor):
        # These checks are much cheaper than Tensor.to, and run for every tensor of every batch.
        if dtype is not None and xs.is_floating_point() and xs.dtype != dtype:
            _require_values(xs, device)
            return xs.to(device=device, dtype=dtype, non_blocking=non_blocking or xs.is_pinned())
        if device is None or xs.device == device:
            return xs
        _require_values(xs, device)
        return xs.to(device=device, non_blocking=non_blocking or xs.is_pinned())
    if isinstance(xs, (tuple, list)):
        if isinstance(xs, PackedSequence):  # a part of it stays on the CPU
            return _packed(xs, device, dtype)
        items = [data_to_device(value, device, dtype, non_blocking) for value in xs]
        if isinstance(xs, list):
            return items
        return type(xs)(*items) if hasattr(xs, "_fields") else tuple(items)
    if type(xs) is dict:  # the usual mapping, without the questions below
        return {key: data_to_device(x, device, dtype, non_blocking) for key, x in xs.items()}
    if _moves_itself(xs):
        return xs if device is None else xs.to(device)
    if isinstance(xs, Mapping):
        moved = {
            key: data_to_device(value, device, dtype, non_blocking) for key, value in xs.items()
        }
        return with_items(xs, moved)
    if is_dataclass(xs) and not isinstance(xs, type):
        return with_fields(xs, lambda value: data_to_device(value, device, dtype, non_blocking))
    return xs


def _require_values(tensor: Tensor, device: torch.device | str | None) -> None:
    if tensor.is_meta and device is not None and torch.device(device).type != "meta":
        raise DataError(
            f"A batch has {describe(tensor)} on the device 'meta', which has no values: load the "
            "data on a device that does."
        )


def _moves_itself(xs: Any) -> bool:
    if isinstance(xs, dict | UserDict) or is_dataclass(xs):
        return False  # its fields or items are moved one by one
    return not isinstance(xs, type) and callable(getattr(xs, "to", None))


def _packed(xs: PackedSequence, device: Any, dtype: torch.dtype | None) -> PackedSequence:
    if dtype is not None and xs.data.is_floating_point():
        xs = xs.to(dtype)
    return xs if device is None else xs.to(device)


def with_items(original: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """Return a mapping of the same type with other items, or a dict if it cannot be changed."""
    if not isinstance(original, MutableMapping):
        return items
    # A copy keeps its other attributes: the factory of a defaultdict, the encodings of a tokenizer.
    same = copy(original)
    for key, value in items.items():
        same[key] = value
    return same


def with_fields(original: Any, convert: Callable[[Any], Any]) -> Any:
    """Return a copy of a dataclass object with every field converted."""
    same = copy(original)
    for name, value in _field_values(original):
        # Bypasses __init__, whose arguments may differ, and the check of frozen dataclasses.
        object.__setattr__(same, name, convert(value))
    return same


def _field_values(original: Any) -> Iterator[tuple[str, Any]]:
    for field in fields(original):
        if hasattr(original, field.name):
            yield field.name, getattr(original, field.name)
