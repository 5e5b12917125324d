"""Code that a run file names: it is imported only for somebody who trusts it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from perceptrain_core.errors import TrustError
from perceptrain_core.registry.references import references_refused
from perceptrain_core.runs.paths import relative_references
from perceptrain_core.runs.tables import RunFile

#: A dotted module of at least two letters (``C:x`` is a path), or a file.
_REFERENCE = re.compile(r"([^\W\d][\w.]+|.*\.py|.*/.*):[^\W\d][\w.]*")
#: The settings of ``[train]`` that name objects; other texts are names and paths.
_NAMING = ("tracking_tool", "lr_scheduler")


def code_in(run_file: RunFile) -> list[str]:
    """Return the code that a run file imports, as ``table.key = reference``.

    A name with a colon always is a reference. Any other text is one if it looks like it; column
    names, paths and times in settings do not count.
    """
    parts = ("model", "loss", "weighting", "optimizer", "metrics", "callbacks")
    tables = run_file.model_dump(exclude_none=True, include=set(parts))
    tables["data"] = {"name": run_file.data.name or "", **run_file.data.options}
    tables["train"] = {key: run_file.train[key] for key in _NAMING if key in run_file.train}
    return list(_found(tables, ""))


def sources_in(run_file: RunFile, folder: Path) -> list[str]:
    """Return the code that a run file imports by module or file, as ``./code.py (f, g)``.

    Args:
        run_file: The tables.
        folder: Its folder; the paths of files are shown relative to it.
    """
    names: dict[str, list[str]] = {}
    for line in code_in(run_file):
        reference = line.partition(" = ")[2]
        source, _, name = relative_references(reference, folder.absolute()).rpartition(":")
        is_inside = source.endswith(".py") and not source.startswith((".", "/"))
        found = names.setdefault(f"./{source}" if is_inside else source, [])
        if name not in found:
            found.append(name)
    return [f"{source} ({', '.join(found)})" for source, found in names.items()]


@contextmanager
def trusting(trust: bool, run_file: RunFile, path: Path) -> Iterator[None]:
    """Refuse to import code that a run file names, unless it is trusted.

    Args:
        trust: Whether it is.
        run_file: The tables, for the message, which lists all code in them.
        path: The run file, for the message.

    Raises:
        TrustError: The block needs code that the run file names, and it is not trusted.
    """
    if trust:
        yield
        return
    try:
        with references_refused():
            yield
    except TrustError as error:
        listed = "".join(f"\n  {line}" for line in code_in(run_file))
        raise TrustError(
            f"{path}: {error} The run file names this code:{listed}\nIf you trust whoever made "
            "this run, pass trust=True (--trust on the command line)."
        ) from None


def _found(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _found(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list):
        for item in value:
            yield from _found(item, path)
    elif isinstance(value, str) and (_is_named(path, value) or _REFERENCE.fullmatch(value)):
        yield f"{path} = {value}"


def _is_named(path: str, value: str) -> bool:
    names = (".name", *(f"train.{key}" for key in _NAMING))
    return ":" in value and path.endswith(names)
