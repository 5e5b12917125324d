"""Hyperparameters as a flat table, and as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def flat(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """Give one level: the value ``3`` of ``{"net": {"depth": 3}}`` is named ``net.depth``."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= {f"{name}.{inner}": item for inner, item in flat(value).items()}
        else:
            found[str(name)] = value
    return found


def as_json(settings: Mapping[Any, Any]) -> str:
    """Write settings as JSON; what JSON does not know is written as text."""
    return json.dumps(_with_text_keys(settings), indent=2, default=str) + "\n"


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _with_text_keys(item) for key, item in value.items()}
    return value
