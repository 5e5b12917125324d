"""Why a plugin failed to load, in one line that says what its author has to change."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from perceptrain_core.errors import PerceptrainError
from perceptrain_core.registry.kinds import HOOKS
from perceptrain_core.registry.messages import one_line, raised_in

if TYPE_CHECKING:
    from perceptrain_core.registry.plugins import Source


def import_fault(source: Source, error: BaseException) -> str:
    """Return why the module of a plugin could not be imported.

    Args:
        source: Where the plugin comes from.
        error: What the import raised.
    """
    module, _, attribute = source.module.partition(":")
    if isinstance(error, ModuleNotFoundError) and error.name is not None:
        if f"{module}.".startswith(f"{error.name}."):
            return (
                f"{one_line(error)}: {_entry_point(source)} names a module that does not exist; "
                "write the name of the module with the hooks, and install the plugin again"
            )
        package = error.name.partition(".")[0]
        return f"{reason(source, error)}: install the package that contains {package!r}"
    if isinstance(error, AttributeError) and attribute and module in sys.modules:
        return f"{one_line(error)}: {_entry_point(source)} names it; write {module!r} alone"
    return reason(source, error)


def no_hooks(source: Source, namespace: object) -> str:
    """Return that what an entry point names has no hooks, and what to name instead.

    Args:
        source: Where the plugin comes from; without a name, it was added by a script.
        namespace: The module or object without hooks.
    """
    hooks = f"functions decorated with @hookimpl, of these names: {', '.join(HOOKS)}"
    if not source.name:
        return f"it has no hooks: define one of these {hooks}"
    kind = "the module" if isinstance(namespace, ModuleType) else "an object,"
    if inspect.isroutine(namespace):
        kind = "the function"
    return (
        f"{_entry_point(source)} names {kind} {source.module!r}, which has no hooks: it must name "
        f"the module with the hooks, {hooks}"
    )


def reason(source: Source, error: BaseException) -> str:
    """Return what an error says, and the line of the plugin that it came from."""
    # The messages of this library are complete; others need their type ('KeyError: x').
    if isinstance(error, PerceptrainError):
        return " ".join(str(error).split())
    return f"{one_line(error)}{_place(source, error)}"


def _entry_point(source: Source) -> str:
    return f"the entry point '{source.name} = {source.module}'"


def _place(source: Source, error: BaseException) -> str:
    """Return the innermost line of the plugin's own package, which may be an installed one."""
    from pathlib import Path
    from traceback import extract_tb  # slow, and only needed for an error

    if isinstance(error, SyntaxError):  # its message has the place
        return ""
    package = source.module.partition(":")[0].partition(".")[0]
    for frame in reversed(extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if package in path.parts or path.stem == package:
            return f" ({path.name}, line {frame.lineno})"
    return raised_in(error)
