"""Everything between a row of a table and a model, in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from math import isfinite, nan
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict
from torch import Tensor, nn

from perceptrain_core.data.tables.columns import (
    Column,
    Columns,
    as_numbers,
    check_names,
    is_gap,
)
from perceptrain_core.data.tables.encode import ClassName, encode
from perceptrain_core.data.tables.modules import PrepareInputs, Unscale
from perceptrain_core.data.tables.plain_values import plain, validated
from perceptrain_core.data.tables.unseen import UnseenCategories
from perceptrain_core.errors import DataError
from perceptrain_core.plurals import counted

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class InputColumn:
    """An input column.

    Attributes:
        name: Its name in the table.
        kind: Whether it holds numbers or text.
        categories: The categories of a text column, in the order of their codes.
        mean: What is subtracted from numbers.
        scale: What numbers are divided by, after that.
        fill: What replaces a missing value: a number, or a category; ``None`` if it is an error.
    """

    name: str
    kind: Literal["number", "category"]
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    fill: float | str | None = None

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    def __post_init__(self) -> None:
        _check_scaling(self.name, self.mean, self.scale)
        if len(set(self.categories)) < len(self.categories):
            raise DataError(f"column {self.name!r} has a category twice.")
        if (self.kind == "category") != bool(self.categories):
            raise DataError(
                f"column {self.name!r}: expected categories for text, and only for text."
            )
        if self.fill is None:
            return
        known = isinstance(self.fill, str) and self.fill in self.categories
        number = isinstance(self.fill, int | float) and isfinite(self.fill)
        if not (known if self.kind == "category" else number):
            raise DataError(f"column {self.name!r} cannot be filled with {self.fill!r}.")

    @property
    def fill_code(self) -> float:
        """The number that replaces a missing value; NaN if there is none."""
        if isinstance(self.fill, str):
            return self.categories.index(self.fill)
        return nan if self.fill is None else self.fill


@dataclass(frozen=True)
class LabelColumns:
    """The label columns.

    Attributes:
        names: Their names in the table.
        classes: The classes in the order of their numbers, text or numbers as in the data; ``None``
            if the labels are no classes.
        mean: What is subtracted from each label column; ``None`` if labels are not scaled.
        scale: What each is divided by, after that.
    """

    names: tuple[str, ...]
    classes: tuple[ClassName, ...] | None = None
    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    def __post_init__(self) -> None:
        if self.classes is not None and (
            len(self.names) != 1 or len(set(self.classes)) < max(1, len(self.classes))
        ):
            raise DataError("classes need a single label column, and a name each, no name twice.")
        if (self.mean is None) != (self.scale is None) or (self.classes and self.mean):
            raise DataError("labels have both a mean and a scale, or none; classes have none.")
        if self.mean is not None and self.scale is not None:
            if not len(self.names) == len(self.mean) == len(self.scale):
                raise DataError("each label column needs a mean and a scale.")
            for name, mean, scale in zip(self.names, self.mean, self.scale, strict=True):
                _check_scaling(name, mean, scale)


@dataclass(frozen=True)
class Preparation:
    """How rows of a table become inputs of a model, and its outputs values of the labels.

    Attributes:
        inputs: The input columns, in the order of the model's inputs.
        labels: The label columns.
        encoding: Whether a category becomes an input for each category (``"one_hot"``), or its
            code, the input of an embedding (``"codes"``).
        unseen: What becomes of a category in new rows that the training did not have: all inputs
            of the column are 0 (``"zeros"``), or it is an error (``"refuse"``). With codes it
            always is one.
    """

    inputs: tuple[InputColumn, ...]
    labels: LabelColumns
    encoding: Literal["one_hot", "codes"] = "one_hot"
    unseen: Literal["zeros", "refuse"] = "zeros"

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    def __post_init__(self) -> None:
        names = [*(column.name for column in self.inputs), *self.labels.names]
        if not self.inputs or len(set(names)) < len(names):
            raise DataError("there must be inputs, and no column may be named twice.")

    @cached_property
    def in_features(self) -> int:
        """The number of inputs of the model."""
        one_hot = self.encoding == "one_hot"
        return sum(len(c.categories) if c.categories and one_hot else 1 for c in self.inputs)

    @property
    def text_columns(self) -> tuple[str, ...]:
        """The columns to read as text, even if all their values look like numbers."""
        return tuple(column.name for column in self.inputs if column.kind == "category")

    @property
    def accepts_unseen(self) -> bool:
        """Whether new rows may have categories that the training did not have."""
        return self.encoding == "one_hot" and self.unseen == "zeros"

    def raw_inputs(
        self, columns: Columns, first_row: int = 0, unseen: UnseenCategories | None = None
    ) -> Tensor:
        """Return the inputs as numbers, neither scaled nor filled.

        Args:
            columns: Columns of one length, those of the inputs among them.
            first_row: The number of rows before these, for messages.
            unseen: Counts unknown categories, if the preparation accepts them; by default they are
                an error.

        Returns:
            A tensor of shape ``(N, columns)``, float64: numbers as they are, categories as codes,
            -1 for an unknown one, NaN where a value is missing.

        Raises:
            DataError: A column does not exist, a value is not a number or not a known category,
                or a value is missing and there is nothing to fill it with.
        """
        accepted = unseen if self.accepts_unseen else None
        check_names((column.name for column in self.inputs), columns)
        rows = len(next(iter(columns.values())))
        raw = np.empty((rows, len(self.inputs)))
        for i, column in enumerate(self.inputs):
            values = columns[column.name]
            raw[:, i] = _raw_column(column, values, first_row, accepted, self._advice)
        return torch.from_numpy(raw)

    def raw_labels(self, columns: Columns) -> Tensor:
        """Return the labels in their own units.

        Args:
            columns: Columns of one length, those of the labels among them.

        Returns:
            A tensor of shape ``(N, labels)``, float64; for classes of shape ``(N,)``, int64.

        Raises:
            DataError: A column does not exist, or a value is missing, not a finite number, or not
                a known class.
        """
        names = self.labels.names
        check_names(names, columns)
        for name in names:
            _refuse_gaps(name, is_gap(columns[name]), "labels must be complete.")
        if self.labels.classes is not None:
            codes = encode(columns[names[0]], self.labels.classes, names[0], "class")
            return torch.from_numpy(codes.astype(np.int64))
        numbers = [as_numbers(columns[name], name) for name in names]
        for name, values in zip(names, numbers, strict=True):
            _check_range(name, values)
        return torch.from_numpy(np.stack(numbers, axis=1))

    def input_module(self) -> nn.Module:
        """Return a module that turns raw inputs into those of the model.

        It fills, scales and encodes rows of shape ``(N, columns)``, float64; the result has shape
        ``(N, in_features)``, float32. It can be exported.
        """
        features = [
            (i, column.mean, column.scale, code)
            for i, column in enumerate(self.inputs)
            for code in self._codes(column)
        ]
        sources, means, scales, codes = zip(*features, strict=True)
        fills = [column.fill_code for column in self.inputs]
        return PrepareInputs(fills, sources, means, scales, codes)

    def output_module(self) -> nn.Module:
        """Return a module that turns the model's outputs into the units of the labels."""
        if self.labels.mean is None or self.labels.scale is None:
            return nn.Identity()
        return Unscale(self.labels.mean, self.labels.scale)

    def scaled(self, raw_labels: Tensor) -> Tensor:
        """Return labels as the model learns them: float32 and scaled; class numbers unchanged."""
        if self.labels.classes is not None:
            return raw_labels
        if self.labels.mean is not None and self.labels.scale is not None:
            mean, scale = (raw_labels.new_tensor(v) for v in (self.labels.mean, self.labels.scale))
            raw_labels = (raw_labels - mean) / scale
        return raw_labels.to(torch.float32)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that ``from_dict`` reads, and JSON can hold."""
        return plain(asdict(self))

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Preparation:
        """Read what ``to_dict`` returned.

        Raises:
            DataError: The values are something else; the message lists every fault.
        """
        return validated(cls, mapping)

    @property
    def _advice(self) -> str:
        """What to do about an unknown category that is an error."""
        if self.encoding == "codes":
            return (
                " An embedding has no code for a new category: leave such rows out, replace it, or "
                'train with categories = "one_hot" in [data], where a new one may occur.'
            )
        return ' unseen = "refuse" in [data] of the training made this an error.'

    def _codes(self, column: InputColumn) -> list[float]:
        if column.kind == "category" and self.encoding == "one_hot":
            return [float(code) for code in range(len(column.categories))]
        return [nan]


def _raw_column(
    column: InputColumn,
    values: Column,
    first_row: int,
    unseen: UnseenCategories | None,
    advice: str,
) -> NDArray[np.float64]:
    if column.fill is None:
        reason = "the data of the training had none there."
        _refuse_gaps(column.name, is_gap(values), reason, first_row)
    if column.kind == "category":
        categories = column.categories
        return encode(values, categories, column.name, "category", first_row, unseen, advice)
    numbers = as_numbers(values, column.name, first_row)
    _check_range(column.name, numbers, first_row)
    return numbers


def _refuse_gaps(name: str, gaps: NDArray[np.bool_], reason: str, first_row: int = 0) -> None:
    if gaps.any():
        raise DataError(
            f"column {name!r} has {counted(gaps.sum(), 'missing value')} of {len(gaps)}, first in "
            f"row {first_row + gaps.argmax() + 1}; {reason}"
        )


def _check_range(name: str, values: NDArray[np.float64], first_row: int = 0) -> None:
    wrong = np.abs(values) > _LARGEST
    if wrong.any():
        row = int(wrong.argmax())
        raise DataError(
            f"column {name!r}: {values[row]:g} in row {first_row + row + 1}; expected a number "
            "that float32 can hold."
        )


def _check_scaling(name: str, mean: float, scale: float) -> None:
    if not (isfinite(mean) and isfinite(scale) and scale > 0):
        raise DataError(
            f"column {name!r} has mean {mean:g} and scale {scale:g}; expected finite numbers, and "
            "a scale above 0."
        )
