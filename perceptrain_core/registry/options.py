"""Options: check them against the signature of a target, and call the target."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping, Sequence
from inspect import Parameter, Signature
from typing import Any

from perceptrain_core.errors import OptionError, TargetError
from perceptrain_core.registry.kinds import Kind
from perceptrain_core.registry.messages import did_you_mean

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)

Options = Mapping[str, Any]


def build(kind: Kind, label: str, target: Any, args: Sequence[Any], options: Options) -> Any:
    """Check the options, then call the target or bind the options to it.

    Args:
        kind: The kind of the target.
        label: How to call it in messages, ``"The loss 'dice'"``.
        target: A class, a function, or for a loss any callable object.
        args: The arguments that the framework passes first (the parameters, for an optimizer).
        options: The options.

    Returns:
        For a loss, a callable ``(batch, model)``; for the other kinds, what the target returns.

    Raises:
        OptionError: An option is unknown or missing.
        TargetError: The target is not callable, or its signature does not fit its kind.
    """
    if not callable(target):
        raise TargetError(
            f"{label} is {type(target).__name__} {target!r}: a class or a function was expected."
        )
    if kind.singular == "loss":
        return _build_loss(kind, label, target, options)
    names = kind.leading or tuple(f"argument {i}" for i, _ in enumerate(args, 1))
    check(label, target, names[: len(args)], options)
    return target(*args, **options)


def _build_loss(kind: Kind, label: str, target: Any, options: Options) -> Any:
    if inspect.isclass(target):
        check(label, target, (), options)
        loss = target(**options)
        if not callable(loss):
            raise TargetError(
                f"{label} makes a {type(loss).__name__}, which is not callable. "
                "Expected: __call__(self, batch, model) -> (loss, metrics)."
            )
        # An nn.Module takes any arguments here, so a torch criterion passes: it is wrapped later.
        check(label, loss, kind.leading, {})
        return loss
    check(label, target, kind.leading, options)
    if not options:
        return target
    if hasattr(target, "state_dict"):
        # A partial would hide its parameters and state from the trainer.
        raise OptionError(
            f"{label} is an object with state and accepts no options ({', '.join(options)}): "
            "pass them where it is built."
        )
    return functools.partial(target, **options)


def check(label: str, target: Any, leading: Sequence[str], options: Options) -> None:
    """Raise unless the signature of ``target`` allows ``target(*leading, **options)``.

    A target without a signature, such as some C functions, is not checked. A target that accepts
    old spellings of its options lists them in its attribute ``old_spellings``, old name to new.
    """
    signature = signature_of(target)
    if signature is not None:
        renamed = getattr(target, "old_spellings", {})
        current = {renamed.get(name, name): value for name, value in options.items()}
        check_call(label, signature, leading, current)


def check_call(label: str, signature: Signature, leading: Sequence[str], options: Options) -> None:
    """Raise unless a signature allows the call ``(*leading, **options)``."""
    if not _takes(signature, len(leading)):
        raise TargetError(
            f"{label} has the signature {signature}, which cannot be called as "
            f"({', '.join((*leading, '**options'))})."
        )
    known = option_parameters(signature, len(leading))
    _check_unknown(label, signature, known, options)
    missing = [
        name
        for name, parameter in known.items()
        if parameter.default is Parameter.empty and name not in options
    ]
    if missing:
        raise OptionError(f"{label} needs {_options(missing)}, which {_was(missing)} not given.")


def _check_unknown(
    label: str, signature: Signature, known: Mapping[str, Parameter], options: Options
) -> None:
    unknown = [name for name in options if name not in known]
    if any(p.kind is Parameter.VAR_KEYWORD for p in signature.parameters.values()):
        # With **kwargs, only the arguments that the framework passes itself are refused.
        taken = {n for n, p in signature.parameters.items() if p.kind in _BY_NAME}
        unknown = [name for name in unknown if name in taken]
    if not unknown:
        return
    takes = f"It takes: {', '.join(known)}." if known else "It takes none."
    raise OptionError(
        f"{label} does not take {_options(unknown)}.{did_you_mean(unknown[0], known)} {takes}"
    )


def signature_of(target: Any) -> Signature | None:
    """Return the signature of a callable, or ``None`` if it cannot be read."""
    try:
        return inspect.signature(target)
    except (ValueError, TypeError):
        return None


def option_parameters(signature: Signature, leading: int) -> dict[str, Parameter]:
    """Return the parameters that can be options: those passed by name, after the leading ones."""
    parameters = list(signature.parameters.values())
    by_position = [p for p in parameters if p.kind in _BY_POSITION]
    taken = {p.name for p in by_position[:leading]}
    return {p.name: p for p in parameters if p.kind in _BY_NAME and p.name not in taken}


def _takes(signature: Signature, leading: int) -> bool:
    try:
        signature.bind_partial(*(None,) * leading)
    except TypeError:
        return False
    # A further positional-only parameter could never be filled.
    by_position = [p for p in signature.parameters.values() if p.kind in _BY_POSITION]
    return not any(
        p.kind is Parameter.POSITIONAL_ONLY and p.default is Parameter.empty
        for p in by_position[leading:]
    )


def _options(names: Sequence[str]) -> str:
    return f"the option{'s'[: len(names) > 1]} {', '.join(map(repr, names))}"


def _was(names: Sequence[str]) -> str:
    return "were" if len(names) > 1 else "was"
