"""Arguments that are not names: mappings, classes, functions, and finished objects."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from perceptrain_core.errors import OptionError
from perceptrain_core.registry.kinds import Kind
from perceptrain_core.registry.options import build

_PLAIN = (bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset)


def split_mapping(
    kind: Kind, given: Mapping[str, Any], options: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Split ``{"name": ..., **options}`` into the name and the options.

    Args:
        kind: The kind.
        given: The mapping.
        options: Further options, which override those in the mapping.

    Returns:
        The name and all options.

    Raises:
        OptionError: The mapping has no name.
    """
    if "name" not in given:
        raise OptionError(
            f"A mapping for a {kind.singular} needs the key 'name' beside the options; "
            f"it has: {', '.join(map(str, given)) or 'nothing'}."
        )
    rest = {key: item for key, item in given.items() if key != "name"}
    return given["name"], {**rest, **options}


def use_given(kind: Kind, given: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Use an object in place of a name.

    Args:
        kind: The kind.
        given: A class or function, used like the target of a name; or a finished object.
        args: The arguments passed before the options.
        options: The options.

    Returns:
        What the class or function built. A finished object, or a loss function without options,
        is returned unchanged.

    Raises:
        OptionError: An option is unknown or missing, or ``given`` cannot be of this kind.
    """
    is_loss = kind.singular == "loss"
    if given is None or (not callable(given) if is_loss else isinstance(given, _PLAIN)):
        raise OptionError(
            f"{given!r} is not a valid {kind.singular}: pass a name, a reference "
            "'module:attribute', a mapping with the key 'name', or the object itself."
        )
    label = f"The {kind.singular} {getattr(given, '__qualname__', type(given).__qualname__)!r}"
    if inspect.isclass(given) or (options if is_loss else _is_function(given)):
        return build(kind, label, given, args, options)
    if options and not is_loss:
        raise OptionError(
            f"{label} is already built and accepts no options ({', '.join(options)}): "
            "pass them where it is built, or pass the class."
        )
    return given


def _is_function(given: Any) -> bool:
    return inspect.isroutine(given) or isinstance(given, functools.partial)
