"""Readable validation errors: what is wrong, the value, and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar

from pydantic import ValidationError

from perceptrain_core.errors import ConfigError

Settings = TypeVar("Settings", bound=type)

_UNKNOWN = {"extra_forbidden", "unexpected_keyword_argument", "no_such_attribute"}


def describe_faults(error: ValidationError, known: Iterable[str], prefix: str = "") -> list[str]:
    """Return one line for each fault.

    Args:
        error: What pydantic found.
        known: The allowed names, for unknown ones.
        prefix: Put before the path of each fault, e.g. ``"train."``.
    """
    names = list(known)
    return [_describe(fault, names, prefix) for fault in error.errors(include_url=False)]


def _describe(fault: Any, known: list[str], prefix: str) -> str:
    path = [str(part) for part in fault["loc"] if not str(part).startswith("function-")]
    where = prefix + ".".join(path)
    if fault["type"] in _UNKNOWN:
        close = get_close_matches(path[-1], known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"allowed are {', '.join(known)}"
        return f"{where}: unknown setting; {hint}"
    message = fault["msg"]
    own = message.removeprefix("Value error, ")
    message = own if own != message else message[0].lower() + message[1:]
    given = "" if fault["type"] in {"value_error", "missing"} else f", not {fault['input']!r}"
    return f"{where}: {message}{given}" if where else message


def reports_every_fault(cls: Settings) -> Settings:
    """Make a validated dataclass raise one ``ConfigError`` that lists every fault."""
    known = [field.name for field in fields(cls)]

    def reporting(method: Callable[..., None]) -> Callable[..., None]:
        @wraps(method)
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
            try:
                method(self, *args, **kwargs)
            except ValidationError as error:
                faults = "\n".join(f"  {line}" for line in describe_faults(error, known))
                raise ConfigError(f"{cls.__name__} is invalid:\n{faults}") from None

        return wrapper

    for name in ("__init__", "__setattr__"):
        setattr(cls, name, reporting(getattr(cls, name)))
    return cls
