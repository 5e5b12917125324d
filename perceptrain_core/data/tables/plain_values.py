"""Dataclasses as plain values, as JSON has them, and back; they may come from a stranger's file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from perceptrain_core.errors import DataError

_Described = TypeVar("_Described")


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as JSON has them: lists instead of tuples."""
    result: dict[str, Any] = json.loads(json.dumps(values))
    return result


def validated(cls: type[_Described], mapping: Mapping[str, Any]) -> _Described:
    """Create a dataclass from plain values, as JSON has them.

    Raises:
        DataError: The values do not fit the fields; the message lists every fault.
    """
    try:
        return TypeAdapter(cls).validate_json(json.dumps(mapping, allow_nan=False))
    except ValidationError as error:
        faults = [
            f"\n  {'.'.join(map(str, fault['loc'])) or 'all'}: "
            f"{fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise DataError(f"This is not a preparation of data:{''.join(faults)}") from None
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"This is not a preparation of data: {error}.") from None
