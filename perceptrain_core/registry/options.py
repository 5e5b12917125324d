"""Options: check them against the signature of a target, and build the target with them."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Mapping, Sequence
from inspect import Parameter, Signature
from types import MappingProxyType
from typing import Any

from perceptrain_core.errors import OptionError, PerceptrainError, TargetError
from perceptrain_core.registry.kinds import Kind
from perceptrain_core.registry.messages import one_line, raised_in
from perceptrain_core.registry.option_values import check_values
from perceptrain_core.suggestions import did_you_mean

_BY_POSITION = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)

#: Values that cannot be a model, an optimizer, a callback or a data set.
_PLAIN = (bool, int, float, complex, str, bytes, bytearray, list, tuple, set, frozenset)

Options = Mapping[str, Any]


def build(kind: Kind, label: str, target: Any, args: Sequence[Any], options: Options) -> Any:
    """Check the options, then call the target or bind the options to it.

    Args:
        kind: The kind of the target.
        label: Its name in messages, ``"The loss 'dice'"``.
        target: A class, a function, or for a loss any callable object.
        args: The arguments passed before the options: the parameters, for an optimizer.
        options: The options.

    Returns:
        For a loss, a callable ``(batch, model)``; for the other kinds, what the target returns.

    Raises:
        OptionError: An option is unknown or missing, or an optimizer refuses its value.
        TargetError: The target is not callable, is an abstract class, or its signature does not fit
            its kind.
    """
    if not callable(target):
        raise TargetError(
            f"{label} is {type(target).__name__} {target!r}: a class or a function was expected."
        )
    refuse_abstract(label, target)
    if kind.singular == "loss":
        return _build_loss(kind, label, target, options)
    names = kind.leading or tuple(f"argument {i}" for i, _ in enumerate(args, 1))
    check(label, target, names[: len(args)], options)
    if kind.singular == "optimizer":
        return _build_optimizer(label, target, args, options)
    return target(*args, **options)


def refuse_abstract(label: str, target: Any) -> None:
    """Raise TargetError for a class that cannot be built, as methods are missing."""
    if inspect.isabstract(target):
        missing = ", ".join(f"{name}()" for name in sorted(target.__abstractmethods__))
        raise TargetError(
            f"{label} is the abstract class {target.__name__}, without {missing}: define what is "
            "missing, or name a subclass that does."
        )


def build_from_object(kind: Kind, value: Any, args: Sequence[Any], options: Options) -> Any:
    """Build a class or function as `build` does; return any other object unchanged.

    A loss function without options is returned unchanged too, whatever its signature.

    Raises:
        OptionError: An option is unknown or missing, the object does not accept options, or it
            cannot be of this kind.
    """
    is_loss = kind.singular == "loss"
    if value is None or (not callable(value) if is_loss else isinstance(value, _PLAIN)):
        raise OptionError(
            f"{value!r} is not a valid {kind.singular}: pass a name, a reference "
            "'module:attribute', a mapping with the key 'name', or the object itself."
        )
    label = f"The {kind.singular} {getattr(value, '__qualname__', type(value).__qualname__)!r}"
    is_function = inspect.isroutine(value) or isinstance(value, functools.partial)
    if inspect.isclass(value) or (options if is_loss else is_function):
        return build(kind, label, value, args, options)
    if options and not is_loss:
        raise OptionError(
            f"{label} is already built and accepts no options ({', '.join(options)}): "
            "pass them where it is built, or pass the class."
        )
    return value


def split_mapping(
    kind: Kind, mapping: Mapping[str, Any], options: Options
) -> tuple[Any, dict[str, Any]]:
    """Split ``{"name": ..., **options}`` into the name and the options.

    Args:
        kind: The kind of the thing named.
        mapping: The mapping, which is not changed.
        options: Further options, which override those in the mapping.

    Raises:
        OptionError: The mapping has no name.
    """
    if "name" not in mapping:
        raise OptionError(
            f"The mapping of the {kind.singular} needs the key 'name' beside the options; "
            f"it has: {', '.join(map(str, mapping)) or 'nothing'}."
        )
    rest = {key: value for key, value in mapping.items() if key != "name"}
    return mapping["name"], {**rest, **options}


def _build_loss(kind: Kind, label: str, target: Any, options: Options) -> Any:
    if inspect.isclass(target):
        check(label, target, (), options)
        loss = target(**options)
        if not callable(loss):
            raise TargetError(
                f"{label} makes a {type(loss).__name__}, which is not callable. "
                "Expected: __call__(self, batch, model) -> (loss, metrics)."
            )
        # nn.Module.__call__ accepts anything, so a torch criterion passes: it is wrapped later.
        check(label, loss, kind.leading, {})
        return loss
    check(label, target, kind.leading, options)
    if not options:
        return target
    if hasattr(target, "state_dict"):
        # A partial would hide the object's parameters and state from the trainer.
        raise OptionError(
            f"{label} is an object with state and accepts no options ({', '.join(options)}): "
            "pass them where it is built."
        )
    return functools.partial(target, **options)


def _build_optimizer(label: str, target: Any, args: Sequence[Any], options: Options) -> Any:
    try:
        return target(*args, **options)
    except PerceptrainError:
        raise
    except Exception as error:  # torch compares the options before it looks at their types
        given = ", ".join(f"{name}={value!r:.60}" for name, value in options.items())
        texts = [name for name, value in options.items() if isinstance(value, str)]
        hint = f" Is {texts[0]} meant as a number? It is text." if texts else ""
        raise OptionError(
            f"{label} cannot be created with {given or 'its defaults'}: "
            f"{one_line(error)}{raised_in(error)}.{hint}"
        ) from error


def check(label: str, target: Any, leading: Sequence[str], options: Options) -> None:
    """Raise unless the signature of ``target`` allows ``target(*leading, **options)``.

    A target without a signature, such as some C functions, is not checked. A target may map old
    names of its options to new ones in its attribute ``old_spellings``.
    """
    signature = signature_of(target)
    if signature is not None:
        renamed = getattr(target, "old_spellings", {})
        current = {renamed.get(name, name): value for name, value in options.items()}
        check_call(label, signature, leading, current, _names_of(target))


def check_call(
    label: str,
    signature: Signature,
    leading: Sequence[str],
    options: Options,
    names: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Raise unless a signature and its annotations allow the call ``(*leading, **options)``.

    ``names`` are those of its module, which its annotations may use.
    """
    if not _accepts(signature, len(leading)):
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
        raise OptionError(f"{label} requires {_options(missing)}.")
    check_values(label, known, options, names)


def _check_unknown(
    label: str, signature: Signature, known: Mapping[str, Parameter], options: Options
) -> None:
    unknown = [name for name in options if name not in known]
    if any(p.kind is Parameter.VAR_KEYWORD for p in signature.parameters.values()):
        # **kwargs accepts any option, except the arguments that the framework passes first.
        named = {n for n, p in signature.parameters.items() if p.kind in _BY_NAME}
        unknown = [name for name in unknown if name in named]
    if not unknown:
        return
    raise OptionError(
        f"{label} does not accept {_options(unknown)}.{did_you_mean(unknown[0], known)} "
        f"It accepts{': ' + ', '.join(known) if known else ' none'}."
    )


def _names_of(target: Any) -> Mapping[str, Any]:
    module = getattr(target, "__module__", None) or type(target).__module__
    return vars(sys.modules[module]) if module in sys.modules else {}


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
    first = {p.name for p in by_position[:leading]}
    return {p.name: p for p in parameters if p.kind in _BY_NAME and p.name not in first}


def _accepts(signature: Signature, leading: int) -> bool:
    try:
        signature.bind_partial(*(None,) * leading)
    except TypeError:
        return False
    # Nothing could fill a further positional-only parameter.
    by_position = [p for p in signature.parameters.values() if p.kind in _BY_POSITION]
    return not any(
        p.kind is Parameter.POSITIONAL_ONLY and p.default is Parameter.empty
        for p in by_position[leading:]
    )


def _options(names: Sequence[str]) -> str:
    return f"the option{'s'[: len(names) > 1]} {', '.join(map(repr, names))}"
