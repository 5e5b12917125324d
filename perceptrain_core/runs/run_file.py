"""A run as a TOML file: read, overridden, checked, and written back in full."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from perceptrain_core.config.faults import describe_faults
from perceptrain_core.config.train_config import TrainConfig
from perceptrain_core.errors import ConfigError, PerceptrainError
from perceptrain_core.registry.messages import one_line

_FILE_REFERENCE = re.compile(r"(?P<path>[^:]+\.py):(?P<attribute>[\w.]+)")
_PLAIN = (str, int, float, bool)

Fraction = Annotated[float, Field(ge=0, lt=1)]
Names = Annotated[list[str], Field(min_length=1)]
Name = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    """A table with keys of its own; the others are options of what it names."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, value: Any) -> Any:
        """Read ``loss = "mse"`` as ``loss = {name = "mse"}``."""
        if isinstance(value, str):
            return {"name": value}
        if not isinstance(value, Mapping | cls):
            raise ValueError(f"expected a table or a name, not {value!r}")
        return value

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are for what is named."""
        return dict(self.__pydantic_extra__ or {})


class Named(_Table):
    """A table that names something in the registry; its other keys are options of that."""

    name: Name


class LossTable(Named):
    """The loss; its name may be left out."""

    name: Name = "mse"


class OptimizerTable(Named):
    """The optimizer; its name may be left out."""

    name: Name = "adam"


class DataTable(_Table):
    """Where the data come from: a registered data set, a reference, or a file.

    Attributes:
        name: A registered data set, or a reference to a function that returns data or loaders;
            keys that are not listed here are its options.
        file: A ``.csv``, ``.parquet`` or ``.npz`` file, in place of a name.
        inputs: The columns of the file that are inputs.
        labels: The columns that are labels.
        classes: Whether the label is a class; by default, if it is text.
        val_fraction: The share of the rows that is set aside for validation.
        test_fraction: The share for test.
        split_seed: Chooses the rows.
        standardize: Scale inputs to mean 0 and deviation 1 over the training rows.
    """

    name: Name | None = None
    file: Path | None = None
    inputs: Names | None = None
    labels: Names | None = None
    classes: bool | None = None
    val_fraction: Fraction = 0.0
    test_fraction: Fraction = 0.0
    split_seed: int = 0
    standardize: bool = False

    @model_validator(mode="after")
    def _one_source(self) -> DataTable:
        if (self.name is None) == (self.file is None):
            raise ValueError("give either name (a data set or a reference) or file")
        if self.file is not None and (self.inputs is None or self.labels is None):
            raise ValueError("a file needs inputs and labels, the names of its columns")
        if self.file is not None and self.options:
            keys = [key for key in type(self).model_fields if key != "name"]
            raise ValueError(
                f"a file has no {', '.join(self.options)}; allowed are {', '.join(keys)}"
            )
        if self.name is not None and (self.inputs or self.labels):
            raise ValueError("inputs and labels name columns of a file; there is none here")
        return self


class RunFile(BaseModel):
    """The tables of a run file.

    Attributes:
        model: The model.
        loss: The loss; by default ``mse``.
        weighting: What weighs the terms of the loss; by default they are added as the loss has
            them.
        optimizer: The optimizer; by default ``adam``.
        data: The data.
        train: The fields of `TrainConfig`.
        callbacks: Any number of callbacks.
        provenance: Written by a run, to say who supplied each name; not read.
    """

    model_config = ConfigDict(extra="forbid")

    model: Named
    loss: LossTable = LossTable()
    weighting: Named | None = None
    optimizer: OptimizerTable = OptimizerTable()
    data: DataTable
    train: dict[str, Any] = Field(default_factory=dict)
    callbacks: list[Named] = Field(default_factory=list)
    provenance: dict[str, Any] = Field(default_factory=dict)

    @field_validator("train")
    @classmethod
    def _callbacks_apart(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "callbacks" in value:
            raise ValueError("callbacks are tables of their own, [[callbacks]] with a name")
        return value


def read_run_file(path: Path, overrides: Sequence[str] = ()) -> RunFile:
    """Read and check a run file.

    Args:
        path: The file. Relative paths in it (data files, ``./code.py:name``) are relative to its
            folder.
        overrides: ``table.key=value`` or ``table=name``, each put in place of what the file
            says; a value is read as TOML, and as text if it is none.

    Raises:
        ConfigError: It cannot be read, or something in it is wrong; the message lists every
            fault with its path in the file.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"The run file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}.") from None
    for override in overrides:
        _override(tables, override)
    tables = _anchored(tables, path.parent.absolute())
    try:
        run = RunFile.model_validate(tables)
    except ValidationError as error:
        raise _faulty(path, describe_faults(error, RunFile.model_fields)) from None
    if run.data.file is not None:
        run.data.file = path.parent.absolute() / run.data.file.expanduser()
    return run


def train_config(run: RunFile, path: Path, **defaults: Any) -> TrainConfig:
    """Make the settings of a run file's ``[train]`` table.

    Args:
        run: The run file.
        path: Named in messages.
        **defaults: For fields that the file leaves out.

    Raises:
        ConfigError: A field or value is wrong.
    """
    with in_table(path, "train"):
        return TrainConfig(
            **{**defaults, **run.train, "callbacks": [*map(_mapping, run.callbacks)]}
        )


@contextmanager
def in_table(path: Path, table: str) -> Iterator[None]:
    """Say in which table of a run file something went wrong.

    What is built there takes its options from the file, so whatever it raises is a fault of it.
    """
    try:
        yield
    except PerceptrainError as error:
        raise ConfigError(f"{path}, [{table}]: {error}") from error
    except Exception as error:
        raise ConfigError(f"{path}, [{table}]: {one_line(error)}") from error


def resolved_tables(run: RunFile, config: TrainConfig, provenance: Mapping[str, Any]) -> Any:
    """Give the tables of a run in full, as a file that runs again just like it."""
    tables = run.model_dump(exclude_none=True, exclude={"train", "provenance"})
    if run.data.file is not None:
        tables["data"]["file"] = str(run.data.file)
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    plain = {name: str(v) if isinstance(v, Path) else v for name, v in values.items()}
    tables["train"] = {name: v for name, v in plain.items() if isinstance(v, _PLAIN)}
    del tables["train"]["resume"]  # what the run was then, whichever way it came there
    if config.dtype is not None:
        tables["train"]["dtype"] = str(config.dtype)
    if isinstance(config.tracking_tool, list):
        tables["train"]["tracking_tool"] = config.tracking_tool
    for name in ("hyperparams", "lr_scheduler"):
        if isinstance(table := getattr(config, name), Mapping) and table:
            tables["train"][name] = dict(table)
    tables["provenance"] = dict(provenance)
    return {name: table for name, table in tables.items() if table}


def _override(tables: dict[str, Any], override: str) -> None:
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
            raise ConfigError(f"--set {override!r}: {'.'.join(keys[: depth + 1])} is no table.")
        table = inner
    table[keys[-1]] = _value(text)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _anchored(value: Any, folder: Path) -> Any:
    """Make references to Python files absolute, so that they mean the same from anywhere."""
    if isinstance(value, dict):
        return {key: _anchored(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [_anchored(item, folder) for item in value]
    if isinstance(value, str) and (match := _FILE_REFERENCE.fullmatch(value)):
        return f"{folder / Path(match['path']).expanduser()}:{match['attribute']}"
    return value


def _faulty(path: Path, faults: Sequence[str]) -> ConfigError:
    return ConfigError(f"{path} is no valid run file:\n" + "\n".join(f"  {f}" for f in faults))


def _mapping(table: Named) -> dict[str, Any]:
    return {"name": table.name, **table.options}
