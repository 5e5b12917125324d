"""Moving a batch of any shape to a device, and its floating point tensors to a dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def data_to_device(
    xs: Any,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    non_blocking: bool = False,
) -> Any:
    """Move every tensor of a batch; tuples, lists, dicts and named tuples keep their type.

    Args:
        xs: A tensor, or tuples, lists and mappings of tensors, nested at will. Anything else
            (``None``, strings, numbers) comes back as it is.
        device: Where to; ``None`` leaves the tensors where they are.
        dtype: For real floating point tensors only: integer labels and masks keep theirs.
        non_blocking: Passed on to ``Tensor.to``, for pinned memory.

    Returns:
        The batch; a tensor that is in place already is not copied.
    """
    if isinstance(xs, Tensor):
        # Asking costs a fraction of Tensor.to, and this runs for every tensor of every batch.
        if dtype is not None and xs.is_floating_point() and xs.dtype != dtype:
            return xs.to(device=device, dtype=dtype, non_blocking=non_blocking)
        if device is None or xs.device == device:
            return xs
        return xs.to(device=device, non_blocking=non_blocking)
    if isinstance(xs, (tuple, list)):
        items = [data_to_device(value, device, dtype, non_blocking) for value in xs]
        if isinstance(xs, list):
            return items
        return type(xs)(*items) if hasattr(xs, "_fields") else tuple(items)
    if isinstance(xs, Mapping):
        moved = {
            key: data_to_device(value, device, dtype, non_blocking) for key, value in xs.items()
        }
        return moved if type(xs) is dict else _rebuild(xs, moved)
    return xs


def _rebuild(original: Mapping[Any, Any], moved: dict[Any, Any]) -> Any:
    try:
        return type(original)(moved)  # type: ignore[call-arg]
    except TypeError:
        return moved
