"""``perceptrain show KIND NAME``: everything about one name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from perceptrain_core.cli import output
from perceptrain_core.cli.completion import complete_kind, complete_name
from perceptrain_core.cli.listing import Json, described, origin

if TYPE_CHECKING:
    from inspect import Parameter

    from perceptrain_core.registry import Entry


def show(
    kind: Annotated[
        str,
        typer.Argument(
            help="The kind: loss, model, optimizer, ... Or a name that one kind has.",
            autocompletion=complete_kind,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Argument(
            help="A name from a listing, or a reference such as ./my.py:fancy.",
            autocompletion=complete_name,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Show the options, documentation, source and plugin of a name."""
    from perceptrain_core.registry import registry

    with output.foreign_code():
        if name is None:
            kind, name = _kind_with(kind), kind
        entry = registry().entry(kind, name)
        facts = _facts(name, entry)
    if json:
        output.write_json(facts)
    else:
        _write(facts, origin(entry))


def _kind_with(name: str) -> str:
    """Return the only kind that has a name.

    Raises:
        AmbiguousNameError: Several kinds have it.
        UnknownNameError: None has it.
    """
    from perceptrain_core.errors import AmbiguousNameError, UnknownNameError
    from perceptrain_core.registry import registry
    from perceptrain_core.registry.kinds import KINDS
    from perceptrain_core.suggestions import did_you_mean

    singulars = [kind.singular for kind in KINDS]
    known = {kind: registry().catalogue(kind) for kind in singulars}
    found = [kind for kind in singulars if name in known[kind]]
    if len(found) == 1:
        return found[0]
    if found:
        calls = " or ".join(f"'perceptrain show {kind} {name}'" for kind in found)
        raise AmbiguousNameError(f"{name!r} is the name of several kinds: use {calls}.")
    if name in singulars or ":" in name:
        missing = "a name" if name in singulars else "the kind"
        raise UnknownNameError(
            f"'show {name}' lacks {missing}; expected perceptrain show KIND NAME."
        )
    names = [each for catalogue in known.values() for each in catalogue]
    raise UnknownNameError(
        f"No kind has the name {name!r}.{did_you_mean(name, names)} The kinds are: "
        f"{', '.join(singulars)}."
    )


def _facts(name: str, entry: Entry) -> dict[str, Any]:
    import inspect

    target = entry.load()
    file, line = _place(target)
    signature = entry.signature()
    extra = (
        [p for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD] if signature else []
    )
    hints = _type_hints(target)
    return {
        "kind": entry.kind,
        **described(name, entry),
        "file": file,
        "line": line,
        "options": None
        if signature is None
        else [_option(parameter, hints) for parameter in [*entry.options().values(), *extra]],
        "doc": inspect.cleandoc(_definition(target).__doc__ or ""),
    }


def _definition(target: Any) -> Any:
    """Return the class or function that defines a target; for an object, its class."""
    import functools
    import inspect

    while isinstance(target, functools.partial):
        target = target.func
    return target if inspect.isclass(target) or inspect.isroutine(target) else type(target)


def _place(target: Any) -> tuple[str | None, int | None]:
    import inspect

    definition = inspect.unwrap(_definition(target))
    try:
        return inspect.getsourcefile(definition), inspect.getsourcelines(definition)[1]
    except (OSError, TypeError):  # compiled, or defined in an interactive session
        return None, None


def _type_hints(target: Any) -> dict[str, Any]:
    """Return the types of the options without aliases; nothing if a name in them is unknown."""
    import inspect
    import typing

    definition = _definition(target)
    try:
        return typing.get_type_hints(
            definition.__init__ if inspect.isclass(definition) else definition
        )
    except Exception:  # of names that are imported for type checkers only
        return {}


def _choices(hint: Any) -> str | None:
    """Return the values of a ``Literal``, alone or beside None, as text."""
    import typing

    parts = typing.get_args(hint) if typing.get_origin(hint) is not typing.Literal else (hint,)
    if not any(typing.get_origin(part) is typing.Literal for part in parts):
        return None
    values: list[str] = []
    for part in parts:
        if typing.get_origin(part) is typing.Literal:
            values += map(repr, typing.get_args(part))
        else:
            values.append("None" if part is type(None) else getattr(part, "__name__", str(part)))
    return " | ".join(values)


def _option(parameter: Parameter, hints: dict[str, Any]) -> dict[str, Any]:
    from inspect import formatannotation

    many = parameter.kind is parameter.VAR_KEYWORD
    annotation, default = parameter.annotation, parameter.default
    required = default is parameter.empty and not many
    if annotation is parameter.empty:
        kind = None
    else:
        kind = annotation if isinstance(annotation, str) else formatannotation(annotation)
    return {
        "name": f"**{parameter.name}" if many else parameter.name,
        "type": _choices(hints.get(parameter.name)) or kind,
        "default": None if required or many else " ".join(repr(default).split()),
        "required": required,
    }


def _write(facts: dict[str, Any], source: str) -> None:
    print(f"{facts['kind']} {facts['name']}")
    if facts["summary"]:
        print(facts["summary"])
    print()
    place = f"{facts['file']}:{facts['line']}" if facts["file"] else "not available"
    rows = {
        "Qualified name": facts["qualified_name"],
        "From": source or "a reference, not a plugin",
        "Target": facts["target"],
        "Source": place,
    }
    for title, value in rows.items():
        print(f"{title:<14}  {value}")
    print()
    _write_options(facts["options"])
    if facts["doc"]:
        print(f"\n{_plain(facts['doc'])}")


def _plain(doc: str) -> str:
    """Return a docstring without its markup: roles and backticks."""
    import re

    without_roles = re.sub(r":\w+:`~?([^`]+)`", r"\1", doc)
    return re.sub(r"(`+)([^`]+)\1", r"\2", without_roles)


def _write_options(options: list[dict[str, Any]] | None) -> None:
    if not options:
        print("No options." if options is not None else "The options cannot be read.")
        return
    rows = [
        (o["name"], o["type"] or "", "(required)" if o["required"] else o["default"] or "")
        for o in options
    ]
    output.write_table(("OPTION", "TYPE", "DEFAULT"), rows)
