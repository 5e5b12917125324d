"""What the data of a run look like from outside, to know other data when they come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def fingerprint(data: Any, name: str = "") -> dict[str, Any]:
    """Give the lengths of a loader, its batch size, and the way that its order is found.

    Args:
        data: A loader; one of several loaders has an outline of each.
        name: Put before what it tells.
    """
    parts = getattr(data, "dataloaders", data)
    if isinstance(parts, Mapping):
        prints = [fingerprint(part, f"{name}{key}.") for key, part in parts.items()]
        return {what: value for part in prints for what, value in part.items()}
    sampler = getattr(data, "sampler", None)
    told = {
        "batches": _length(data),
        "rows": _length(getattr(data, "dataset", None)),
        "batch_size": getattr(data, "batch_size", None),
        "order": None if sampler is None else type(sampler).__name__,
    }
    return {f"{name}{what}": value for what, value in told.items() if value is not None}


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None
