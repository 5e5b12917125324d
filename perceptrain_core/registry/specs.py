"""`Spec`: one thing that a plugin offers, with its name, target and summary."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from perceptrain_core.errors import InvalidSpecError

_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class Spec:
    """One thing that a plugin offers.

    Args:
        name: The short name: lower-case letters, digits and underscores, starting with a letter.
        target: ``"package.module:attribute"``, imported only when the name is resolved, or the
            class or function itself.
        summary: One line for the listings.

    Raises:
        InvalidSpecError: The name, the target or the summary cannot be registered.
    """

    name: str
    target: str | Callable[..., Any]
    summary: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        _check_target(self.name, self.target)
        if not isinstance(self.summary, str):
            raise InvalidSpecError(
                f"{self.name!r}: the summary must be one line of text, "
                f"not {type(self.summary).__name__}."
            )


def check_name(name: object) -> None:
    """Raise InvalidSpecError unless ``name`` is a valid short name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidSpecError(
            f"{name!r} cannot be a name: use lower-case letters, digits and underscores, "
            "starting with a letter, such as 'dice_ce'."
        )


def _check_target(name: str, target: object) -> None:
    if isinstance(target, str):
        if not _TARGET.fullmatch(target):
            raise InvalidSpecError(
                f"{name!r}: the target {target!r} is not a reference; expected "
                "'package.module:attribute'."
            )
    elif not callable(target):
        raise InvalidSpecError(
            f"{name!r}: the target must be 'package.module:attribute', a class or a function, "
            f"not {type(target).__name__}."
        )
