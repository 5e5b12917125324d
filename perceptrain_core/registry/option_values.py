"""Options: refuse values that cannot be of the annotated type."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import reduce
from inspect import Parameter
from types import MappingProxyType
from typing import Any, NamedTuple, get_origin

from perceptrain_core.errors import OptionError
from perceptrain_core.option_checks import refuse
from perceptrain_core.suggestions import did_you_mean

_EXPECTED = {"float": "a number", "int": "a whole number", "bool": "true or false"}
_COLLECTIONS = (bytes, list, tuple, dict, set, frozenset, type)
_PLAIN = (str, bool, int, float, complex)


class _Allowed(NamedTuple):
    """What an annotation allows: names of number types, values of ``Literal``, and ``None``."""

    numbers: tuple[str, ...] = ()
    literals: tuple[Any, ...] = ()
    none: bool = False

    def __or__(self, other: _Allowed) -> _Allowed:
        numbers, literals = self.numbers + other.numbers, self.literals + other.literals
        return _Allowed(numbers, literals, self.none or other.none)

    @property
    def text(self) -> str:
        *others, last = *map(repr, self.literals), *(_EXPECTED[name] for name in self.numbers)
        return f"{', '.join(others)} or {last}" if others else last


def check_values(
    label: str,
    parameters: Mapping[str, Parameter],
    options: Mapping[str, Any],
    names: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Raise unless each option that is annotated as a number, a bool or ``Literal`` can be one.

    Only what is certain is refused: text, a collection, a class, ``None`` where it is not allowed,
    or a number or text that is not one of the literals. The target itself checks the rest, such as
    bounds.

    Args:
        label: The name of the target in messages, ``"The loss 'dice'"``.
        parameters: The options that the target accepts, by name.
        options: The values.
        names: The names of the module of the target, for annotations that use a name of their own,
            as in ``Reduction = Literal["mean", "sum"]``.

    Raises:
        OptionError: A value is of another type.
    """
    faults = [
        f"{name}={value!r:.60}: expected {expected}"
        for name, value in options.items()
        if name in parameters and (expected := _expected(parameters[name], value, names))
    ]
    refuse(label, faults, OptionError)


def _expected(parameter: Parameter, value: Any, names: Mapping[str, Any]) -> str:
    """Return what was expected instead of a value; empty if the value may be right."""
    allowed = _read(_text(parameter.annotation), names)
    if allowed is None or not (allowed.numbers or allowed.literals):
        return ""
    if value is None:
        wrong = not allowed.none and parameter.default is not None
    elif isinstance(value, _PLAIN):
        is_number = bool(allowed.numbers) and not isinstance(value, str)
        wrong = not is_number and value not in allowed.literals
    else:
        wrong = isinstance(value, _COLLECTIONS)
    if not wrong:
        return ""
    if not isinstance(value, str):
        return allowed.text
    texts = [each for each in allowed.literals if isinstance(each, str)]
    hint = did_you_mean(value, texts)
    if hint:
        return f"{allowed.text}.{hint}"
    return allowed.text if allowed.literals else f"{allowed.text}, not text"


def _text(annotation: Any) -> str:
    if isinstance(annotation, str):
        return annotation
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _read(annotation: str, names: Mapping[str, Any]) -> _Allowed | None:
    """Return what an annotation allows, ``None`` if it may allow anything else."""
    try:
        return _allowed(ast.parse(annotation, mode="eval").body, names)
    except (SyntaxError, ValueError):  # such as a literal that is a member of an Enum
        return None


def _allowed(node: ast.expr, names: Mapping[str, Any]) -> _Allowed:
    """Return what a part of an annotation allows.

    Raises:
        ValueError: It may allow anything.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # a quoted name
        return _allowed(ast.parse(node.value, mode="eval").body, names)
    if isinstance(node, ast.Constant) and node.value is None:
        return _Allowed(none=True)
    if isinstance(node, ast.Name) and node.id in _EXPECTED:
        return _Allowed((node.id,))
    if isinstance(node, ast.Name) and get_origin(names.get(node.id)) is not None:
        return _allowed(ast.parse(str(names[node.id]), mode="eval").body, {})
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _allowed(node.left, names) | _allowed(node.right, names)
    if isinstance(node, ast.Subscript):
        name = ast.unparse(node.value).rpartition(".")[2]
        parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name == "Literal":
            values = tuple(map(ast.literal_eval, parts))
            others = tuple(value for value in values if value is not None)
            return _Allowed(literals=others, none=None in values)
        if name in ("Optional", "Union"):
            start = _Allowed(none=name == "Optional")
            return reduce(_Allowed.__or__, (_allowed(part, names) for part in parts), start)
    raise ValueError(f"unknown annotation {ast.unparse(node)!r}")
