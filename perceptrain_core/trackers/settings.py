"""Hyperparameters as a flat table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def flat(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """Flatten nested settings: ``{"net": {"depth": 3}}`` becomes ``{"net.depth": 3}``."""
    items: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            items |= {f"{name}.{inner}": item for inner, item in flat(value).items()}
        else:
            items[str(name)] = value
    return items


def as_json(settings: Mapping[Any, Any]) -> str:
    """Return settings as JSON; values that JSON does not support are written as text."""
    return json.dumps(_with_text_keys(settings), indent=2, default=str) + "\n"


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    return value
