"""Layer sizes that are passed one by one instead of as a list."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from perceptrain.errors import ConfigError

_P = ParamSpec("_P")


def sizes_in_one_list(
    init: Callable[Concatenate[Any, _P], None],
) -> Callable[Concatenate[Any, _P], None]:
    """Let ``__init__`` of a network refuse sizes one by one, ``MLP(2, 8, 1)``, with an advice.

    Raises:
        ConfigError: There are several whole numbers in place of a list.
    """

    @wraps(init)
    def checked(network: Any, /, *args: _P.args, **options: _P.kwargs) -> None:
        if len(args) > 1 and all(isinstance(size, int) for size in args):
            name, sizes = type(network).__name__, ", ".join(map(str, args))
            raise ConfigError(
                f"{name}({sizes}): expected the sizes of the layers as one list, {name}([{sizes}])."
            )
        init(network, *args, **options)

    return checked
