"""A summary of a run's data, to detect on resume that the data have changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perceptrain_core.data.support.loader_length import length_of


def fingerprint(data: Any, name: str = "") -> dict[str, Any]:
    """Return a loader's length, rows, batch size and sampler type.

    Args:
        data: A loader; a loader that combines several is summarized part by part.
        name: Prefix of the keys.
    """
    parts = getattr(data, "dataloaders", data)
    if isinstance(parts, Mapping):
        parts_summary = [fingerprint(part, f"{name}{key}.") for key, part in parts.items()]
        return {what: value for part in parts_summary for what, value in part.items()}
    sampler = getattr(data, "sampler", None)
    summary = {
        "batches": length_of(data),
        "rows": length_of(getattr(data, "dataset", None)),
        "batch_size": getattr(data, "batch_size", None),
        "order": None if sampler is None else type(sampler).__name__,
    }
    return {f"{name}{what}": value for what, value in summary.items() if value is not None}
