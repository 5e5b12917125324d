"""Check that a user's function can be called with the arguments it will get."""

from __future__ import annotations

import inspect

from perceptrain_core.errors import CallbackError


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
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # some built-in functions have no signature
    try:
        signature.bind(*arguments)
    except TypeError:
        name = getattr(function, "__name__", type(function).__name__)
        raise CallbackError(
            f"{name}{signature} does not fit: it will be called as {expected}."
        ) from None
