"""The tables of a run file and the keys that each accepts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    field_validator,
    model_validator,
)

from perceptrain_core.runs.paths import absolute_path

Fraction = Annotated[float, Field(ge=0, lt=1)]
Names = Annotated[list[str], Field(min_length=1)]
Name = Annotated[str, Field(min_length=1)]

#: Keys of ``[data]`` that need a file.
FILE_KEYS = (
    "inputs",
    "labels",
    "classes",
    "weights",
    "group",
    "separator",
    "missing",
    "categorical",
    "categories",
    "unseen",
)


class _Table(BaseModel):
    """A table with fixed keys; any other key is an option of the object it names."""

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
        """The keys that are options of the named object."""
        return dict(self.__pydantic_extra__ or {})


class Named(_Table):
    """A table that names an object in the registry and sets its options."""

    name: Name


class LossTable(Named):
    """The loss, ``mse`` by default."""

    name: Name = "mse"


class OptimizerTable(Named):
    """The optimizer, ``adam`` by default."""

    name: Name = "adam"


class DataTable(_Table):
    """The source of the data: a registered data set, a reference, or a file.

    Attributes:
        name: A registered data set, or a reference to a function that returns data or loaders.
            Keys not listed here are its options.
        file: A data file, instead of a name; see `read_columns` for the formats.
        inputs: Names or patterns of the input columns in the file; all others by default.
        labels: Name of the label column, or a list of names.
        classes: Whether the label is a class; by default, a text label is.
        weights: Name of a column with a weight for each row.
        group: Name of a column with the group of each row; the rows of a group stay together.
        separator: What separates the values of a CSV file; found out by default.
        missing: ``"drop"`` rows without a value, or ``"fill"`` the values of inputs.
        categorical: Names or patterns of input columns of numbers whose values are categories, such
            as codes; text is a category without it.
        categories: How categories become inputs: ``"one_hot"``, the default, or ``"codes"`` for an
            embedding.
        unseen: What becomes of categories in predictions that the training did not have: their
            inputs are 0 (``"zeros"``, the default), or they are an error (``"refuse"``). With codes
            they always are one.
        val_fraction: Fraction of the rows held out for validation.
        test_fraction: Fraction of the rows held out for testing.
        split_seed: Seed of the random split.
        folds: Number of folds of a cross-validation, which trains a run for each.
        fold: The fold to validate on, counted from 1, to train only one run of them.
        stratify: Whether validation and test have their share of every class.
        standardize: Scale inputs to mean 0 and standard deviation 1 over the training rows.
        scale_labels: Scale labels that are numbers in the same way.
    """

    name: Name | None = None
    file: Path | None = None
    inputs: Names | None = None
    labels: Name | Names | None = None
    classes: bool | None = None
    weights: Name | None = None
    group: Name | None = None
    separator: Name | None = None
    missing: Literal["drop", "fill"] | None = None
    categorical: Names | None = None
    categories: Literal["one_hot", "codes"] | None = None
    unseen: Literal["zeros", "refuse"] | None = None
    val_fraction: Fraction = 0.0
    test_fraction: Fraction = 0.0
    split_seed: int = 0
    folds: Annotated[int, Field(ge=2)] | None = None
    fold: Annotated[int, Field(ge=1)] | None = None
    stratify: bool = False
    standardize: bool = False
    scale_labels: bool = False
    _folder: Path = PrivateAttr(default=Path())

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the options of a data set are relative to."""
        return self._folder

    def place(self, folder: Path) -> None:
        """Set the folder of the run file, and make the path of the file absolute."""
        self._folder = folder
        if self.file is not None:
            self.file = absolute_path(folder, self.file)

    @field_validator("categories", mode="before")
    @classmethod
    def _not_columns(cls, value: Any) -> Any:
        if isinstance(value, list):
            raise ValueError("this says how categories become inputs: name columns in categorical")
        return value

    @model_validator(mode="after")
    def _whole_folds(self) -> DataTable:
        if self.fold is not None and self.fold > (self.folds or 0):
            raise ValueError(f"fold = {self.fold} needs folds, the number of folds, at least that")
        if self.folds is not None and self.val_fraction:
            raise ValueError("each fold is validated once: set folds or val_fraction, not both")
        return self

    @property
    def cross_validated(self) -> bool:
        """Whether a run is trained for each fold."""
        return self.folds is not None and self.fold is None

    @model_validator(mode="after")
    def _one_source(self) -> DataTable:
        if (self.name is None) == (self.file is None):
            raise ValueError("give either name (a data set or a reference) or file")
        if self.file is not None and self.labels is None:
            raise ValueError("a file needs labels, the name of the column to predict")
        if self.file is not None and self.options:
            keys = [key for key in type(self).model_fields if key != "name"]
            raise ValueError(
                f"a file has no {', '.join(self.options)}; allowed are {', '.join(keys)}"
            )
        given = [key for key in FILE_KEYS if getattr(self, key) is not None]
        if self.name is not None and given:
            raise ValueError(f"{', '.join(given)}: only for columns of a file; no file is set")
        if self.unseen == "zeros" and self.categories == "codes":
            raise ValueError('unseen = "zeros" needs categories = "one_hot": codes have no zeros')
        if self.stratify and self.group:
            raise ValueError("stratify and group exclude each other: leave one of them out")
        return self


class RunFile(BaseModel):
    """The tables of a run file.

    Attributes:
        model: The model.
        loss: The loss; by default ``mse``.
        weighting: How to weight the terms of the loss; by default they are not reweighted.
        optimizer: The optimizer; by default ``adam``.
        data: The data.
        metrics: Metrics over all validation or test data. Each key is the name of a metric, or a
            label if its table has a ``name``.
        train: The fields of `TrainConfig`.
        callbacks: Any number of callbacks.
        provenance: The distribution and version behind each name. A run writes it; it is ignored
            when the file is read.
    """

    model_config = ConfigDict(extra="forbid")

    model: Named
    loss: LossTable = LossTable()
    weighting: Named | None = None
    optimizer: OptimizerTable = OptimizerTable()
    data: DataTable
    metrics: dict[str, Named] = Field(default_factory=dict)
    train: dict[str, Any] = Field(default_factory=dict)
    callbacks: list[Named] = Field(default_factory=list)
    provenance: dict[str, Any] = Field(default_factory=dict)

    @field_validator("metrics", mode="before")
    @classmethod
    def _named_by_keys(cls, value: Any) -> Any:
        """Read ``f1 = {average = "macro"}`` as ``f1 = {name = "f1", average = "macro"}``."""
        if not isinstance(value, Mapping):
            raise ValueError(
                f'expected a table with a key for each, f1 = {{average = "macro"}}, not {value!r}'
            )
        return {
            label: {"name": label, **table} if isinstance(table, Mapping) else table
            for label, table in value.items()
        }

    @field_validator("train")
    @classmethod
    def _callbacks_apart(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "callbacks" in value:
            raise ValueError("callbacks are tables of their own, [[callbacks]] with a name")
        return value
