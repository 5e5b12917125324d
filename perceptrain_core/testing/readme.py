"""Checks of a plugin's README: its code, run files, names, options and pictures."""

from __future__ import annotations

import contextlib
import io
import os
import re
import tomllib
from ast import literal_eval
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from perceptrain_core.models.sizes import DataSizes, complete_options
from perceptrain_core.random_state import kept_random_state
from perceptrain_core.registry import KINDS, Entry, Registry
from perceptrain_core.testing.checks import require, run_check, temporary_folder
from perceptrain_core.testing.plugin import InstalledPlugin

_SIZES = DataSizes(2, 2, (0, 0))
_BLOCK = "```{}\n(.*?)^ *```"
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
_ROW = re.compile(r"^\| ([a-z ]+?) \| `(\w+)` \| ([^|]*)\|(.*)$", re.M)
_OPTION = re.compile(r"`(\w+)=([^`]+)`")


class Readme(NamedTuple):
    """What `check_readme` read and ran, for the author's own assertions.

    Attributes:
        printed: What the Python blocks printed.
        namespace: Their variables.
        run_files: The TOML blocks, parsed.
    """

    printed: str
    namespace: dict[str, Any]
    run_files: tuple[dict[str, Any], ...]


def check_readme(
    path: str | os.PathLike[str],
    distribution: str,
    *,
    shared_options: Collection[str] | None = None,
    shorter: Mapping[str, str] | None = None,
) -> Readme:
    """Check that the README of a plugin is correct.

    - The Python blocks run in order, with the same variables, in a temporary folder.
    - The model, loss, weighting and callbacks named in a TOML block (a run file) can be built.
    - The table rows that start with a kind and a name, ``| loss | `dice` | `DiceLoss` | ...``, list
      exactly the names that the plugin offers. A third cell in backquotes is the target.
    - Options in these rows, in the form ```margin=0.5```, have that default.
    - Relative links and pictures exist.

    Args:
        path: The README.
        distribution: The name of the installed plugin, ``"perceptrain-robust"``.
        shared_options: Options that the rows may omit; each row must list all others. By default,
            rows need not list any option.
        shorter: Code of the README, and what runs in its place, to train for fewer steps in a test:
            ``{"max_iter=3000": "max_iter=100"}``.

    Returns:
        What the Python blocks printed, their variables, and the run files.

    Raises:
        ConformanceError: A check failed; the message lists every fault.
        UnknownNameError: No such plugin is installed.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8")
    plugin = InstalledPlugin(distribution)
    printed, namespace = io.StringIO(), {"__name__": "readme"}

    def run_faults(text: str) -> Iterator[str]:
        for old, new in (shorter or {}).items():
            if old not in text:
                yield f"it has no code {old!r}, which is to run shorter"
            text = text.replace(old, new)
        with temporary_folder(), contextlib.redirect_stdout(printed):
            for line, code in _blocks("python", text):
                # Leading empty lines make tracebacks show the line in the README.
                exec(compile("\n" * line + code, str(path), "exec"), namespace)

    def row_faults(text: str) -> Iterator[str]:
        return _row_faults(text, plugin.entries, shared_options)

    def link_faults(text: str) -> Iterator[str]:
        missing = (link for link in _LINK.findall(text) if not (path.parent / link).exists())
        return (f"it links to {link}, which does not exist" for link in missing)

    checks: dict[str, Callable[[str], Iterator[str]]] = {
        "has code that runs": run_faults,
        "has run files that fit": lambda text: _run_file_faults(text, plugin.registry),
        "has the names and options of the plugin": row_faults,
        "has links to files that exist": link_faults,
    }
    with kept_random_state():
        results = [run_check(name, find, text) for name, find in checks.items()]
    require(f"The README of {distribution!r}", results, "is not correct")
    runs = tuple(tomllib.loads(code) for _, code in _blocks("toml", text))
    return Readme(printed.getvalue(), namespace, runs)


def _blocks(language: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield each code block in a language, with the number of lines before it."""
    for match in re.finditer(_BLOCK.format(language), text, re.DOTALL | re.MULTILINE):
        yield text.count("\n", 0, match.start(1)), match[1]


def _run_file_faults(text: str, registry: Registry) -> Iterator[str]:
    for _, code in _blocks("toml", text):
        run = tomllib.loads(code)
        parts = [(kind, run.get(kind)) for kind in ("model", "loss", "weighting")]
        parts += [("callback", callback) for callback in run.get("callbacks", ())]
        for kind, part in parts:
            if part and "name" in part:
                options = {key: value for key, value in part.items() if key != "name"}
                entry = registry.entry(kind, part["name"])
                if kind == "model":  # in a run, the sizes left out follow from the data
                    options = complete_options(entry.load(), options, _SIZES)
                entry.build((), options)
    yield from ()


def _row_faults(
    text: str, entries: list[Entry], shared_options: Collection[str] | None
) -> Iterator[str]:
    offered = {(entry.kind, entry.name): entry for entry in entries}
    kinds = {kind.singular for kind in KINDS}
    listed = {}
    for word, name, target, rest in _ROW.findall(text):
        kind = word.replace(" ", "")
        if kind in kinds:
            listed[kind, name] = target.strip(), rest
    for kind, name in offered.keys() - listed.keys():
        yield f"no row of a table lists the {kind} {name!r}"
    for kind, name in listed.keys() - offered.keys():
        others = ", ".join(n for k, n in offered if k == kind)
        yield f"it lists the {kind} {name!r}, which the plugin does not offer; it offers {others}"
    for key in offered.keys() & listed.keys():
        yield from _target_faults(offered[key], *listed[key])
        yield from _option_faults(offered[key], "|".join(listed[key]), shared_options)


def _target_faults(entry: Entry, target: str, rest: str) -> Iterator[str]:
    own = str(entry.target).partition(":")[2].split(".")[0]
    if re.fullmatch(r"`\w+`", target) and isinstance(entry.target, str) and target != f"`{own}`":
        yield f"it says that the {entry.kind} {entry.name!r} is {target}; it is `{own}`"


def _option_faults(
    entry: Entry, cells: str, shared_options: Collection[str] | None
) -> Iterator[str]:
    label = f"the {entry.kind} {entry.name!r}"
    options, stated = entry.options(), dict(_OPTION.findall(cells))
    for name, value in stated.items():
        if name not in options:
            yield f"{label} has no option {name!r}"
        elif not _equals(value, options[name].default):
            yield f"{label} has {name}={options[name].default!r} by default, not {value}"
    if shared_options is not None:
        for name in options.keys() - stated.keys() - set(shared_options):
            yield f"the row of {label} does not list the option {name!r}"


def _equals(text: str, value: Any) -> bool:
    try:
        return bool(literal_eval(text) == value)
    except (ValueError, SyntaxError):
        return text == repr(value)
