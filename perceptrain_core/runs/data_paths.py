"""Paths among the options of a data set: relative to the run file, absolute for the data set."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_args, get_type_hints

from perceptrain_core.registry import registry
from perceptrain_core.runs.paths import absolute_path
from perceptrain_core.runs.tables import DataTable


def path_options(target: Any) -> set[str]:
    """Return the names of the options of a data set that are annotated as a ``Path``.

    ``Path | None`` and ``str | Path`` count too.

    Args:
        target: The function, class or callable object of the data set.
    """
    try:
        hints = get_type_hints(_called(target))
    except (NameError, TypeError):  # annotations that only a type checker can read
        return set()
    return {name for name, hint in hints.items() if Path in (hint, *get_args(hint))}


def options_with_paths(table: DataTable) -> dict[str, Any]:
    """Return the options of a data set, with absolute paths where it expects a ``Path``.

    Args:
        table: The table ``[data]``, with a name.
    """
    options = table.options
    target = registry().entry("dataset", table.name or "").load()
    paths = path_options(target) & options.keys()
    given = {name: options[name] for name in paths if isinstance(options[name], str | Path)}
    return options | {name: absolute_path(table.folder, path) for name, path in given.items()}


def data_with_paths(table: DataTable) -> dict[str, Any]:
    """Return all keys of the table ``[data]`` that are set; its paths are absolute, a ``Path``."""
    keys = table.model_dump(exclude_none=True)
    return keys if table.name is None else keys | options_with_paths(table)


def _called(target: Any) -> Any:
    if inspect.isclass(target):
        return target.__init__
    return target if inspect.isroutine(target) else type(target).__call__
