"""Checks of options and arguments, with messages in one style."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from torch import Tensor

from perceptrain.errors import ConfigError, DataError, PerceptrainError


def is_number(value: object, *, whole: bool = False) -> bool:
    """Whether a value is a finite number, or a tensor of one; a bool is not."""
    if isinstance(value, Tensor) and not value.ndim and not whole and not value.is_complex():
        return isfinite(value)
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        return False
    return isfinite(value)


def check_numbers(
    owner: str,
    *,
    whole: bool = False,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    error: type[PerceptrainError] = ConfigError,
    advice: str = "",
    **values: Any,
) -> None:
    """Check that options are finite numbers within bounds; a bool is not a number.

    Args:
        owner: Whose options they are; it starts the message, unless it is empty.
        whole: Require integers.
        at_least: The smallest allowed value.
        above: Exclusive lower bound.
        at_most: The largest allowed value.
        below: Exclusive upper bound.
        error: The error to raise.
        advice: A sentence that ends the message.
        **values: The values by option name.

    Raises:
        PerceptrainError: A value is something else; of the class ``error``.
    """

    def fits(value: Any) -> bool:
        return (
            is_number(value, whole=whole)
            and (at_least is None or value >= at_least)
            and (above is None or value > above)
            and (at_most is None or value <= at_most)
            and (below is None or value < below)
        )

    wrong = [f"{name}={value!r:.100}" for name, value in values.items() if not fits(value)]
    if wrong:
        bounds = {
            "of at least": at_least,
            "above": above,
            "and at most": at_most,
            "and below": below,
        }
        texts = [f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None]
        expected = " ".join(["a whole number" if whole else "a number", *texts])
        wrong = [f"{each}: expected {expected}" for each in wrong]
        text = f"{owner}: {'; '.join(wrong)}." if owner else f"{'; '.join(wrong)}."
        raise error(f"{text} {advice}".rstrip())


def check_flags(owner: str, **values: Any) -> None:
    """Check that options are bools, or 0 or 1. Any text would count as true.

    Raises:
        ConfigError: A value is something else.
    """
    for name, value in values.items():
        if not isinstance(value, int | np.bool_) or value not in {0, 1}:
            raise ConfigError(f"{owner}: {name}={value!r:.100}: expected True or False.")


def is_list(value: object) -> bool:
    """Whether a value is a list, a tuple or the like; text is not."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def is_function(value: object, *arguments: object) -> bool:
    """Whether a value can be called with these arguments."""
    if not callable(value):
        return False
    try:
        inspect.signature(value).bind(*arguments)
    except TypeError:
        return False
    except ValueError:  # some built-in functions have no signature
        return True
    return True


def checked_points(points: Any) -> Tensor:
    """Return what a sampler drew, if it is a tensor with a row for each point.

    Raises:
        DataError: It is something else.
    """
    if isinstance(points, Tensor) and points.ndim == 2:
        return points
    raise DataError(
        f"The sampler returned {described(points)}; expected a tensor of n points, of shape "
        "(n, d), such as torch.rand(n, 2)."
    )


def described(value: object) -> str:
    """Say briefly what a value is, for a message."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, Tensor | np.ndarray):
        kind = "a tensor" if isinstance(value, Tensor) else "a NumPy array"
        return f"{kind} of shape {tuple(value.shape)} and dtype {value.dtype}"
    if inspect.isroutine(value):
        return f"the function {value.__name__}{_arguments(value)}"
    if value is None or isinstance(value, str | float | int):
        return f"{value!r:.100}"
    return f"an object of type {type(value).__name__}"


def _arguments(function: Callable[..., Any]) -> str:
    try:
        return str(inspect.signature(function))
    except ValueError:  # some built-in functions have no signature
        return ""
