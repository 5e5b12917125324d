"""Options: refuse values that cannot be of the annotated type."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter
from typing import Any

from perceptrain_core.errors import OptionError

_EXPECTED = {"float": "a number", "int": "a whole number", "bool": "true or false"}
_NEVER = (str, bytes, list, tuple, dict, set, frozenset, type)


def check_values(
    label: str, parameters: Mapping[str, Parameter], options: Mapping[str, Any]
) -> None:
    """Raise unless each option that is annotated as a number or a bool can be one.

    Only what is certain is refused: text, a collection, a class, or ``None`` where it is not
    allowed. The target itself checks the rest, such as bounds.

    Args:
        label: The name of the target in messages, ``"The loss 'dice'"``.
        parameters: The options that the target accepts, by name.
        options: The values.

    Raises:
        OptionError: A value is of another type.
    """
    faults = [
        f"{name}={value!r:.60}: expected {expected}{', not text' if isinstance(value, str) else ''}"
        for name, value in options.items()
        if name in parameters and (expected := _expected(parameters[name], value))
    ]
    if faults:
        raise OptionError(f"{label}: {'; '.join(faults)}.")


def _expected(parameter: Parameter, value: Any) -> str:
    """Return what was expected instead of a value; empty if the value may be right."""
    annotation = parameter.annotation
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    names = [name.strip() for name in text.split("|")]
    kinds = [name for name in names if name != "None"]
    if not kinds or not set(kinds) <= _EXPECTED.keys():
        return ""
    if value is None:
        wrong = kinds == names and parameter.default is not None
    else:
        wrong = isinstance(value, _NEVER)
    return " or ".join(_EXPECTED[kind] for kind in kinds) if wrong else ""
