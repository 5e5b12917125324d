"""Errors of a run that say which of its plugins is missing, or has another version now."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from perceptrain_core.checkpoints.folder import newest_run_folder
from perceptrain_core.config import TrainConfig
from perceptrain_core.errors import ConfigError, PerceptrainError, UnknownNameError
from perceptrain_core.registry import registry
from perceptrain_core.registry.available import how_to_install
from perceptrain_core.runs.file_names import RUN_FILE
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.tables import RunFile

P = ParamSpec("P")
T = TypeVar("T")

_OF_FOLDER = ("root_folder", "log_folder")
_TRAINED = "This run was trained with other versions: "


def with_recorded_versions(run_file: RunFile, path: Path) -> RunFile:
    """Add the provenance of the run that ``--resume`` continues to its run file.

    Args:
        run_file: The tables.
        path: The file that they come from; by default the run folder is named after it.
    """
    with suppress(PerceptrainError, OSError):  # there is no such run, or its file is not valid
        settings = {name: run_file.train[name] for name in _OF_FOLDER if name in run_file.train}
        folder = newest_run_folder(TrainConfig(**{"log_folder": path.stem, **settings}))
        recorded = read_run_file(folder / RUN_FILE).provenance
        return run_file.model_copy(update={"provenance": recorded})
    return run_file


def changed_versions(provenance: dict[str, Any]) -> str:
    """Return which versions of this library and its plugins differ from recorded ones.

    Args:
        provenance: That of a trained run, from its run file.

    Returns:
        A sentence; empty if all are the same, or none are recorded.
    """
    recorded = provenance.get("versions")
    if not isinstance(recorded, dict):
        return ""
    now = _installed()
    names = {str(entry.get("distribution")) for entry in _entries(provenance)}
    changed = [
        f"{name} {recorded[name]}, now {now.get(name, 'not installed')}"
        for name in sorted({"perceptrain-core", *names} & recorded.keys())
        if recorded[name] != now.get(name)
    ]
    return f"{_TRAINED}{'; '.join(changed)}." if changed else ""


def explaining_versions(build: Callable[P, T]) -> Callable[P, T]:
    """Let the errors of a function say what may have changed since a run was trained.

    Args:
        build: A function of a run file and further arguments. If the run file comes from a run, its
            provenance is compared with what is installed.
    """

    @functools.wraps(build)
    def explained(*args: P.args, **options: P.kwargs) -> T:
        try:
            return build(*args, **options)
        except ConfigError as error:
            run_file: Any = args[0]
            message = _explained(error, run_file.provenance)
            if message == str(error):
                raise
            raise ConfigError(message) from error

    return explained


def _explained(error: ConfigError, provenance: dict[str, Any]) -> str:
    text, cause = str(error), error.__cause__
    if isinstance(cause, UnknownNameError):
        first = str(cause).partition(". ")[0].partition(".\n")[0]
        for entry in _entries(provenance):
            if missing := _missing(entry, first):
                return text.replace(str(cause), missing)
    changed = changed_versions(provenance)
    return f"{text}\n{changed}" if changed and _TRAINED not in text else text


def _missing(entry: dict[str, Any], unknown: str) -> str:
    """Return the message for an unknown name whose plugin is not installed; else nothing."""
    qualified, plugin = str(entry.get("name")), entry.get("distribution")
    if plugin is None or plugin in _installed():
        return ""
    for name in (qualified, qualified.rpartition("/")[2]):
        if unknown.endswith(repr(name)):
            version = entry.get("version")
            return (
                f"{name!r} came from {' '.join(filter(None, (plugin, version)))}, which is not "
                f"installed: {how_to_install(plugin, version)}."
            )
    return ""


def _entries(provenance: dict[str, Any]) -> list[dict[str, Any]]:
    # A run file may be edited, so an entry may be anything.
    entries = [entry for part, entry in provenance.items() if part != "versions"]
    return [entry for entry in entries if isinstance(entry, dict)]


def _installed() -> dict[str, str | None]:
    return {plugin.distribution: plugin.version for plugin in registry().plugins}
