"""Other forms in which the settings of a run may be written."""

from __future__ import annotations

import re
from datetime import time
from operator import index
from typing import Any

import torch


def as_dtype(value: Any) -> Any:
    """Accept ``"float64"`` and ``"torch.float64"`` beside the dtype itself."""
    if isinstance(value, str):
        value = getattr(torch, value.removeprefix("torch."), value)
    if value is not None and not (isinstance(value, torch.dtype) and value.is_floating_point):
        raise ValueError(f"expected a floating point dtype such as 'float64', not {value!r}")
    if value is not None and value.itemsize < 2:
        raise ValueError(
            f"torch stores {value}, but computes little with it; expected 'float64', 'float32', "
            "'bfloat16' or 'float16'"
        )
    return value


def as_int(value: Any) -> Any:
    """Accept NumPy integers, and leave a bool to be refused."""
    return index(value) if hasattr(value, "__index__") and not isinstance(value, bool) else value


def as_seconds(value: Any) -> Any:
    """Accept a time such as ``"01:30:00"`` beside a number of seconds."""
    if isinstance(value, time):  # what TOML reads if the quotes are left out
        value = value.isoformat("seconds")
    if not isinstance(value, str):
        return value
    if match := re.fullmatch(r"(\d+):([0-5]\d):([0-5]\d)", value):
        hours, minutes, seconds = map(int, match.groups())
        return (hours * 60 + minutes) * 60 + seconds
    raise ValueError(f"expected seconds, or a time 'HH:MM:SS' such as '01:30:00', not {value!r}")


def as_compile(value: Any) -> Any:
    """Accept a bool and ``"strict"``."""
    if value is True or value is False or value == "strict":
        return value
    raise ValueError(f"expected true, false or 'strict', not {value!r}")


def as_precision(value: Any) -> Any:
    """Accept the names that other libraries have for autocast."""
    return {"bf16-mixed": "bf16", "fp16-mixed": "fp16", "16-mixed": "fp16"}.get(str(value), value)


def as_checkpointing(value: Any) -> Any:
    """Accept a bool, classes and names of modules, or a function."""
    return value if isinstance(value, bool) else _as_choice_of_modules(value, "true, false")


def as_modules(value: Any) -> Any:
    """Accept a number of parameters, classes and names of modules, or a function."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return _as_choice_of_modules(value, "a number of parameters")


def _as_choice_of_modules(value: Any, others: str) -> Any:
    if callable(value) and not isinstance(value, type):
        return value
    given = [value] if isinstance(value, str | type) else value
    several = isinstance(given, list | tuple) and bool(given)
    if several and all(isinstance(each, str | type) for each in given):
        return list(given)
    raise ValueError(
        f"expected {others}, a list of classes or names of submodules, or a function "
        f"f(name, module), not {value!r:.60}"
    )
