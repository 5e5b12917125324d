"""docs/command_line.md: every command with its options, from the program itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from pages.command_examples import EXAMPLES, SEE, SETUP
from pages.files import Files
from pages.markdown import code, from_docstring, sentence, table
from perceptrain_core.cli.main import app

_LISTS = "list-"
_METAVARS = {str: "TEXT", int: "N", float: "NUMBER", Path: "PATH"}


def build() -> Files:
    """Return the page."""
    program = typer.main.get_command(app)
    assert isinstance(program, TyperGroup)
    lists = [name for name in program.commands if name.startswith(_LISTS)]
    parts = [SETUP.strip(), "## Options of every command", _parameters(program)]
    for panel in dict.fromkeys(_panel(command) for command in program.commands.values()):
        parts.append(f"## {panel}")
        for name, command in program.commands.items():
            if _panel(command) == panel and name not in lists[1:]:
                parts += _section(name, command, lists if name in lists else [name])
    return {"docs/command_line.md": "\n\n".join(parts)}


def _panel(command: object) -> str:
    return str(getattr(command, "rich_help_panel", ""))


def _section(path: str, command: object, names: list[str]) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        for name, inner in command.commands.items():
            yield from _section(f"{path} {name}", inner, [f"{path} {name}"])
        return
    assert isinstance(command, TyperCommand)
    yield f"### {code(path)}{' and other lists' if len(names) > 1 else ''}"
    text = (command.help or "").replace("\\[", "[")
    if len(names) > 1:
        text = (
            "List the names of one kind, built-in and from plugins. These commands have the same "
            f"options: {', '.join(map(code, names))}."
        )
    see = SEE.get(path)
    paragraphs = "\n\n".join(map(from_docstring, text.split("\n\n")))
    yield f"{paragraphs} See [{see[0]}]({see[1]})." if see else paragraphs
    yield f"Usage: `perceptrain {path}{_usage(command)}`"
    if rows := _parameters(command):
        yield rows
    yield f"```bash\n{EXAMPLES[path].strip()}\n```"


def _usage(command: TyperCommand) -> str:
    arguments = [p for p in command.params if isinstance(p, TyperArgument)]
    shown = [_argument(each) for each in arguments]
    options = [p for p in command.params if isinstance(p, TyperOption) and not p.hidden]
    needed = [f"{p.opts[-1]} {_metavar(p)}" for p in options if p.required]
    optional = ["[OPTIONS]"] if len(needed) < len(options) else []
    return "".join(f" {part}" for part in (*shown, *needed, *optional))


def _argument(argument: TyperArgument) -> str:
    name = (argument.metavar or (argument.name or "").upper()).strip("[].")
    several = "..." if argument.nargs == -1 else ""
    return f"{name}{several}" if argument.required else f"[{name}]{several}"


def _metavar(option: TyperOption) -> str:
    kind = option.type_descriptor.annotation
    return option.metavar or _METAVARS.get(kind, getattr(kind, "__name__", "VALUE").upper())


def _parameters(command: TyperCommand | TyperGroup) -> str:
    """Return a table of the arguments and options of a command, or nothing if it has none."""
    rows = []
    for each in command.params:
        text = sentence((getattr(each, "help", "") or "").replace("\\[", "["))
        if isinstance(each, TyperArgument):
            rows.append((code(_argument(each)), "", text))
        elif isinstance(each, TyperOption) and not each.hidden:
            names = [*reversed(each.opts), *each.secondary_opts]
            value = "" if each.is_flag else f" {_metavar(each)}"
            spelled = ", ".join(code(f"{name}{value}") for name in names)
            rows.append((spelled, _default(each), text))
    return table(("Option", "Default", "Meaning"), rows) if rows else ""


def _default(option: TyperOption) -> str:
    value = option.default
    if option.is_flag or option.required or value in (None, [], ()) or callable(value):
        return "required" if option.required else ""
    return code(getattr(value, "value", value))
