"""Read a run file: TOML and ``--set`` overrides in, checked tables out."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from perceptrain_core.config.faults import describe_faults
from perceptrain_core.data.tables.suffixes import TABLE_SUFFIXES
from perceptrain_core.errors import ConfigError
from perceptrain_core.regular_file import reason_to_refuse
from perceptrain_core.runs.file_names import RUN_FILE
from perceptrain_core.runs.paths import absolute_references
from perceptrain_core.runs.tables import RunFile
from perceptrain_core.runs.toml import advice_for_line, advice_for_value, parse_toml

_LARGEST = 2**20  # bytes


def read_run_file(path: Path, overrides: Sequence[str] = ()) -> RunFile:
    """Read and check a run file.

    Args:
        path: The file. Relative paths in it (data files, ``./code.py:name``, options of a data
            set that are annotated as ``Path``) are relative to its folder.
        overrides: ``table.key=value`` or ``table=name``, each replacing what the file says. A
            value is parsed as TOML; if that fails, it is a string, unless it looks like a number or
            like a value of Python (``.5``, ``True``).

    Raises:
        ConfigError: The file cannot be read or is invalid; the message lists every fault with its
            path in the file.
    """
    _refuse_others(path)
    if reason := reason_to_refuse(path, _LARGEST):
        raise ConfigError(f"The run file {path} cannot be read: it {reason}.")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The run file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigError(
            f"{path} is not valid TOML, which is encoded in UTF-8: save it as UTF-8, or name "
            "another file."
        ) from None
    try:
        tables = parse_toml(text, str(path))
    except tomllib.TOMLDecodeError as error:
        hint = advice_for_line(text, error)
        raise ConfigError(f"{path} is not valid TOML: {error}.{hint}") from None
    for override in overrides:
        _apply_override(tables, override)
    folder = path.parent.absolute()
    try:
        run_file = RunFile.model_validate(absolute_references(tables, folder))
    except ValidationError as error:
        faults = "".join(f"\n  {line}" for line in describe_faults(error, RunFile.model_fields))
        raise ConfigError(f"{path} is not a valid run file:{faults}") from None
    run_file.data.place(folder)
    return run_file


def _refuse_others(path: Path) -> None:
    """Refuse a table of data and a run folder, which are easily named instead of a run file."""
    if path.suffix.lower() in TABLE_SUFFIXES and path.is_file():
        raise ConfigError(
            f"{path} is a table of data; expected a run file. perceptrain init {path} writes one."
        )
    if (path / RUN_FILE).is_file():
        raise ConfigError(
            f"{path} is a run folder; expected a run file, such as the one in it, "
            f"{path / RUN_FILE}."
        )


def _apply_override(tables: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not separator or not all(keys):
        raise ConfigError(
            f"--set {override!r}: expected TABLE.KEY=VALUE, e.g. --set train.max_iter=10."
        )
    table: Any = tables
    for depth, key in enumerate(keys[:-1]):
        inner = table.setdefault(key, {})
        if depth == 0 and isinstance(inner, str):  # loss = "mse" and --set loss.reduction=sum
            inner = table[key] = {"name": inner}
        if not isinstance(inner, dict):
            raise ConfigError(
                f"--set {override!r}: {'.'.join(keys[: depth + 1])} is not a table, so it has no "
                f"key {keys[depth + 1]!r}."
            )
        table = inner
    table[keys[-1]] = parse_value(text, override)


def parse_value(text: str, override: str) -> Any:
    """Parse the value of an override: TOML, or else plain text.

    Args:
        text: The value.
        override: The whole override, for messages.

    Raises:
        ConfigError: It looks like a number or a value of Python, but is not TOML.
    """
    try:
        return parse_toml(f"value = {text}", f"--set {override!r:.60}")["value"]
    except tomllib.TOMLDecodeError:
        if advice := advice_for_value(text):
            raise ConfigError(f"--set {override!r}: {text!r} is not TOML; {advice}.") from None
        return text
