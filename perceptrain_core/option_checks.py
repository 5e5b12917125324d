"""Checks of options, so that every message says the same thing the same way."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

from perceptrain_core.errors import CallbackError, ConfigError, PerceptrainError
from perceptrain_core.suggestions import did_you_mean


def number_faults(
    values: Mapping[str, object],
    *,
    whole: bool = False,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> list[str]:
    """Describe every value that is not a finite number within the bounds.

    A bool does not count as a number.

    Args:
        values: The values by option name.
        whole: Require integers.
        at_least: Smallest allowed value.
        above: Exclusive lower bound.
        at_most: Largest allowed value.
        below: Exclusive upper bound.

    Returns:
        One text for each fault, such as ``"lr=-1: expected a number above 0"``.
    """
    bounds = {"of at least": at_least, "above": above, "of at most": at_most, "below": below}
    texts = [f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None]
    expected = " ".join(["a whole number" if whole else "a number", " and ".join(texts)]).rstrip()

    def fits(value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
            return False
        number = float(value)
        return (
            isfinite(number)
            and (-inf if at_least is None else at_least) <= number
            and number <= (inf if at_most is None else at_most)
            and (above is None or number > above)
            and (below is None or number < below)
        )

    return [f"{k}={v!r}: expected {expected}" for k, v in values.items() if not fits(v)]


def choice_faults(values: Mapping[str, object], allowed: Sequence[object]) -> list[str]:
    """Describe every value that is none of the allowed ones.

    Args:
        values: The values by option name.
        allowed: The allowed values, mostly strings.

    Returns:
        One text for each fault, such as ``"mode='mn': expected 'min' or 'max'"``, and a question if
        a value is similar: ``Did you mean 'min'?``
    """
    return [
        f"{option}={value!r}: {_expected(value, allowed)}"
        for option, value in values.items()
        if not isinstance(value, Hashable) or value not in allowed
    ]


def check_choice(
    option: str,
    value: object,
    allowed: Sequence[object],
    *,
    owner: str = "",
    error: type[PerceptrainError] = ConfigError,
) -> None:
    """Refuse a value of an option that is none of the allowed ones.

    Args:
        option: The name of the option.
        value: What was passed.
        allowed: The allowed values; the message lists them, and suggests the nearest string.
        owner: Whose option it is; it starts the message.
        error: The error to raise.

    Raises:
        PerceptrainError: The value is not allowed; of the class ``error``.
    """
    refuse(owner, choice_faults({option: value}, allowed), error)


def _expected(value: object, allowed: Sequence[object]) -> str:
    *others, last = map(repr, allowed)
    choices = f"{', '.join(others)} or {last}" if others else last
    names = [each for each in allowed if isinstance(each, str)]
    hint = did_you_mean(value, names) if isinstance(value, str) else ""
    return f"expected {choices}.{hint}" if hint else f"expected {choices}"


def refuse(owner: str, faults: Iterable[str], error: type[PerceptrainError] = ConfigError) -> None:
    """Raise one error that lists all faults, if there are any.

    Args:
        owner: Whose options they are; it starts the message, unless it is empty.
        faults: Texts such as those of `number_faults`.
        error: The error to raise.
    """
    found = "; ".join(faults)
    if found:
        text = found if found.endswith("?") else f"{found}."
        raise error(f"{owner}: {text}" if owner else text)


def check_callable(function: object, role: str, arguments: tuple[str, ...]) -> None:
    """Refuse a function that does not accept the arguments; ``None`` is accepted.

    Args:
        function: The function.
        role: The name of the option, for the message.
        arguments: The names of the positional arguments that it will be called with.

    Raises:
        CallbackError: It cannot be called like this.
    """
    if function is None:
        return
    expected = f"{role}({', '.join(arguments)})"
    if not callable(function):
        raise CallbackError(
            f"Expected a function called as {expected}, got {type(function).__name__}."
        )
    if not fits(function, *arguments):
        name = getattr(function, "__name__", type(function).__name__)
        raise CallbackError(
            f"{name}{inspect.signature(function)} does not fit: it will be called as {expected}."
        )


def fits(function: Callable[..., Any], *arguments: object) -> bool:
    """Whether a function accepts positional arguments; true if it has no signature."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True  # some built-in functions have none
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True
