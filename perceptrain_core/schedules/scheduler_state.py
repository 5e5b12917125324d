"""The state of a scheduler as plain values, which a checkpoint can hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_LEFT_OUT = object()


def plain_state(state: dict[str, Any]) -> dict[str, Any]:
    """Copy a state, keeping only numbers, texts, tensors, and containers of these."""
    copy: dict[str, Any] = _plain(state)
    return copy


def full_state(own: Any, saved: Any) -> Any:
    """Fill in what `plain_state` left out, using the state of a newly created scheduler.

    Args:
        own: The state of the new scheduler.
        saved: What `plain_state` returned.
    """
    if type(own) is dict and isinstance(saved, dict):
        return own | {key: full_state(own.get(key), value) for key, value in saved.items()}
    if isinstance(own, dict) and isinstance(saved, dict):
        return type(own)(saved)
    if isinstance(own, list) and isinstance(saved, list) and len(own) == len(saved):
        return [full_state(*both) for both in zip(own, saved, strict=True)]
    return saved


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if type(value) in _PLAIN or isinstance(value, np.generic):
        return value
    if isinstance(value, dict):
        items = {key: _plain(item) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not _LEFT_OUT}
    if type(value) in (list, tuple):
        parts = [_plain(item) for item in value]
        return _LEFT_OUT if any(part is _LEFT_OUT for part in parts) else type(value)(parts)
    return _LEFT_OUT
