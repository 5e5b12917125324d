"""Why a plugin failed to load, in one line that says what its author has to change."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from perceptrain_core.errors import PerceptrainError
from perceptrain_core.registry.kinds import HOOKS
from perceptrain_core.registry.messages import failure, one_line

if TYPE_CHECKING:
    from perceptrain_core.registry.plugins import Source


def import_fault(source: Source, error: BaseException) -> str:
    """Return why the module of a plugin could not be imported.

    Args:
        source: Where the plugin comes from.
        error: What the import raised.
    """
    module, _, attribute = source.module.partition(":")
    if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
        return (
            f"{one_line(error)}: {_entry_point(source)} names a module that does not exist; "
            "write the name of the module with the hooks, and install the plugin again"
        )
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
    return failure(error, source.module)


def _entry_point(source: Source) -> str:
    return f"the entry point '{source.name} = {source.module}'"
