"""``perceptrain show KIND NAME``: everything about one name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from perceptrain_core.cli import output
from perceptrain_core.cli.listing import Json, described, origin

if TYPE_CHECKING:
    from inspect import Parameter

    from perceptrain_core.registry import Entry


def show(
    kind: Annotated[str, typer.Argument(help="The kind: loss, model, optimizer, ...")],
    name: Annotated[
        str, typer.Argument(help="A name from a listing, or a reference such as ./my.py:fancy.")
    ],
    json: Json = False,
) -> None:
    """Show the options, documentation, source and plugin of a name."""
    from perceptrain_core.registry import registry

    with output.foreign_code():
        entry = registry().entry(kind, name)
        facts = _facts(name, entry)
    if json:
        output.write_json(facts)
    else:
        _write(facts, origin(entry))


def _facts(name: str, entry: Entry) -> dict[str, Any]:
    import inspect

    target = entry.load()
    file, line = _place(target)
    signature = entry.signature()
    extra = (
        [p for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD] if signature else []
    )
    return {
        "kind": entry.kind,
        **described(name, entry),
        "file": file,
        "line": line,
        "options": None
        if signature is None
        else [_option(parameter) for parameter in [*entry.options().values(), *extra]],
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


def _option(parameter: Parameter) -> dict[str, Any]:
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
        "type": kind,
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
        print(f"\n{facts['doc']}")


def _write_options(options: list[dict[str, Any]] | None) -> None:
    if not options:
        print("No options." if options is not None else "The options cannot be read.")
        return
    rows = [
        (o["name"], o["type"] or "", "(required)" if o["required"] else o["default"] or "")
        for o in options
    ]
    output.write_table(("OPTION", "TYPE", "DEFAULT"), rows)
