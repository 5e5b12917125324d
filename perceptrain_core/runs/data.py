"""The data of a run: read, split, prepared, and described."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.data.files.folds import are_classes, fold_indices, fold_rows
from perceptrain_core.data.files.row_choice import Traits
from perceptrain_core.data.files.splits import (
    Splits,
    as_splits,
    rows_of_tensors,
    scale,
    scaling,
    split_indices,
    split_rows,
)
from perceptrain_core.data.tables.preparation import Preparation
from perceptrain_core.data.tables.prepare import make_tensors, prepare_table
from perceptrain_core.data.tables.table import Table, TableOptions, read_table
from perceptrain_core.data.tables.tensor_preparation import TensorPreparation
from perceptrain_core.errors import DataError, OptionError
from perceptrain_core.registry import registry
from perceptrain_core.runs.data_options import ignored_label
from perceptrain_core.runs.data_paths import options_with_paths
from perceptrain_core.runs.tables import FILE_KEYS, DataTable


@dataclass
class RunData:
    """The data of a run.

    Attributes:
        splits: Training, validation and test data.
        preparation: What was done to the inputs and labels; ``None`` if they are used as they are.
        notes: What was dropped or filled, a sentence each.
        binary: Whether the labels are the numbers 0 and 1 of two classes, of shape ``(N, 1)``.
        ignored: A label that is not a class, if there is one.
    """

    splits: Splits
    preparation: Preparation | TensorPreparation | None = None
    notes: list[str] = field(default_factory=list)
    binary: bool = False
    ignored: int | None = None

    @property
    def classes(self) -> int:
        """The number of classes: those of the table, or one more than the largest label.

        The label that is ignored does not count.
        """
        if isinstance(self.preparation, Preparation) and self.preparation.labels.classes:
            return len(self.preparation.labels.classes)
        parts = (self.splits.train, self.splits.val, self.splits.test)
        rows = [rows_of_tensors(part) or () for part in parts if part is not None]
        labels = [tensors[1] for tensors in rows if len(tensors) > 1]
        if self.ignored is not None:
            labels = [part[part != self.ignored] for part in labels]
        return max((int(part.max()) + 1 for part in labels if part.numel()), default=1)


def load_data(table: DataTable, binary: bool = False) -> RunData:
    """Load the data that a run file names.

    Args:
        table: The table ``[data]``.
        binary: Whether the loss expects two classes as numbers 0 and 1 of shape ``(N, 1)``.

    Raises:
        DataError: The data cannot be used.
    """
    if table.folds is not None and table.fold is None:
        raise DataError("A run trains one of the folds: add --set data.fold=1, or fold in [data].")
    data = _from_file(table) if table.file is not None else _from_tensors(table)
    return with_binary_labels(data) if binary else data


def _from_file(options: DataTable) -> RunData:
    try:
        tensors, parts, preparation, notes = _prepared(options)
    except DataError as error:
        if str(options.file) in str(error):
            raise
        raise DataError(f"{options.file}: {error}") from error.__cause__
    splits = Splits(tensors)
    if len(parts[0]) < len(tensors[0]):
        splits = Splits(*(tuple(t[p] for t in tensors) if len(p) else None for p in parts))
    return RunData(splits, preparation, notes)


def _prepared(
    options: DataTable,
) -> tuple[tuple[Tensor, ...], list[Tensor], Preparation, list[str]]:
    """Return all rows as tensors, and the numbers of the rows of each split.

    The table itself, which takes twice the memory of the tensors, ends with this function.
    """
    assert options.file is not None
    labels = options.labels or ()
    table = read_table(
        options.file,
        TableOptions(
            [labels] if isinstance(labels, str) else labels,
            options.inputs,
            options.classes,
            options.weights,
            options.group,
            options.missing,
            options.separator,
            options.categorical,
        ),
    )
    parts = _divide(table, options)
    preparation = prepare_table(
        table,
        parts[0],
        options.categories or "one_hot",
        options.standardize,
        options.scale_labels,
        options.missing == "fill",
        options.unseen or "zeros",
    )
    return make_tensors(table, preparation), parts, preparation, table.notes


def _divide(table: Table, options: DataTable) -> list[Tensor]:
    """Return the numbers of the rows for training, validation and test."""
    if options.stratify and table.classes is None:
        raise DataError("stratify needs classes, and the labels are numbers: leave it out.")
    traits = Traits(table.class_numbers, table.groups)
    fractions = options.val_fraction, options.test_fraction
    none = torch.empty(0, dtype=torch.int64)
    parts = [torch.arange(table.rows), none, none]
    if any(fractions):
        chosen = traits if options.stratify else replace(traits, classes=None)
        parts = split_indices(table.rows, *fractions, options.split_seed, chosen)
    if options.folds is not None and options.fold is not None:
        fold = options.folds, options.fold, options.split_seed
        validated = fold_indices(len(parts[0]), *fold, traits.of(parts[0]))
        parts[:2] = parts[0][~validated], parts[0][validated]
    return parts


def _from_tensors(table: DataTable) -> RunData:
    splits = as_splits(_resolve_data(table))
    traits = Traits(_classes(splits) if table.stratify else None)
    fractions = table.val_fraction, table.test_fraction
    splits = split_rows(splits, *fractions, table.split_seed, traits)
    if table.folds is not None and table.fold is not None:
        splits = fold_rows(splits, table.folds, table.fold, table.split_seed)
    ignored = ignored_label(table)
    if not (table.standardize or table.scale_labels):
        return RunData(splits, ignored=ignored)
    preparation = scaling(splits, table.standardize, table.scale_labels)
    return RunData(scale(splits, preparation), preparation, ignored=ignored)


def with_binary_labels(data: RunData) -> RunData:
    """Turn two classes into floats 0 and 1; other labels are left to the loss.

    Raises:
        DataError: There are more than two classes.
    """

    def convert(part: Any) -> Any:
        tensors = () if part is None else rows_of_tensors(part) or ()
        if len(tensors) < 2 or not are_classes(tensors[1]):
            return part
        if data.classes > 2:
            raise DataError(
                f"The loss is for two classes, and the labels have {data.classes}: use "
                "cross_entropy in [loss]."
            )
        return tensors[0], tensors[1].float().unsqueeze(-1), *tensors[2:]

    splits = data.splits
    parts = [convert(part) for part in (splits.train, splits.val, splits.test)]
    return replace(data, splits=Splits(*parts), binary=_are_binary(parts[0]))


def _are_binary(train: Any) -> bool:
    tensors = rows_of_tensors(train) or ()
    if len(tensors) < 2 or tensors[1].shape[1:] != (1,):
        return False
    return bool(((tensors[1] == 0) | (tensors[1] == 1)).all())


def _classes(splits: Splits) -> Tensor:
    tensors = rows_of_tensors(splits.train) or ()
    if len(tensors) < 2 or not are_classes(tensors[1]):
        raise DataError("stratify needs labels that are classes, integers of shape (N,).")
    return tensors[1]


def _resolve_data(table: DataTable) -> Any:
    try:
        return registry().resolve("dataset", table.name, (), options_with_paths(table))
    except OptionError as error:  # a misspelt key of the table looks like an option
        keys = [key for key in DataTable.model_fields if key not in ("file", *FILE_KEYS)]
        raise OptionError(f"{error} The table itself accepts: {', '.join(keys)}.") from error
