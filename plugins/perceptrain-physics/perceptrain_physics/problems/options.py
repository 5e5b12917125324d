"""Options of problems: a problem from a dict, as in a run file."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from perceptrain.errors import ConfigError

_Made = TypeVar("_Made")
_VARIABLE = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}


def with_options(make: Callable[..., _Made], name: str, options: Mapping[str, Any]) -> _Made:
    """Create a problem from its options.

    Args:
        make: The class.
        name: Its name, for messages.
        options: The options.

    Raises:
        ConfigError: The problem does not accept an option, or needs one more.
    """
    found = inspect.signature(make).parameters.values()
    parameters = {each.name: each for each in found if each.kind not in _VARIABLE}
    accepted = ", ".join(parameters) or "none"
    open_ended = any(each.kind is each.VAR_KEYWORD for each in found)
    unknown = [option for option in options if option not in parameters]
    if unknown and not open_ended:
        raise ConfigError(
            f"The problem {name!r} does not accept the option{'s' * (len(unknown) > 1)} "
            f"{', '.join(map(repr, unknown))}. It accepts: {accepted}."
        )
    missing = [
        option
        for option, parameter in parameters.items()
        if parameter.default is parameter.empty and option not in options
    ]
    if missing:
        raise ConfigError(f"The problem {name!r} requires the option {missing[0]!r}.")
    return make(**options)
