"""Rows of any kind of data, as the numbers that a run's preparation takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from perceptrain_core.data.tables.arrays import array_of
from perceptrain_core.data.tables.columns import Columns, columns_of, is_gap
from perceptrain_core.data.tables.preparation import Preparation
from perceptrain_core.data.tables.read import iterate_columns, read_columns
from perceptrain_core.data.tables.tensor_preparation import TensorPreparation
from perceptrain_core.data.tables.unseen import UnseenCategories
from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.inference.outputs import row_parts
from perceptrain_core.plurals import counted
from perceptrain_core.regular_file import is_special
from perceptrain_core.runs.tables import DataTable
from perceptrain_core.tensors import describe, promote_to_tensor
from perceptrain_core.user_warnings import warn_user

AnyPreparation: TypeAlias = Preparation | TensorPreparation | None

_TABLES = "a path, a DataFrame or a mapping of columns"


def raw_rows(
    data: Any, preparation: AnyPreparation, size: int, separator: str | None = None
) -> Iterator[Tensor]:
    """Yield the inputs of rows, neither scaled nor filled.

    Args:
        data: A path of a table, which is read in chunks; a DataFrame or another table; an array or
            a tensor of rows.
        preparation: That of the run.
        size: The largest number of rows at a time.
        separator: What separates the values of a CSV file; found out by default.

    Raises:
        DataError: The data cannot be read, or lack a column.
        ShapeError: The rows have another shape than those of the training.

    Warns:
        UserWarning: After the last row, if there were categories that the training did not have.
    """
    if not isinstance(preparation, Preparation):
        tensor = _tensor(data, preparation)
        yield from row_parts(tensor, size)
        return
    unseen = UnseenCategories()
    if isinstance(data, str | Path):
        names = [column.name for column in preparation.inputs]
        text = preparation.text_columns
        row = 0
        for columns in iterate_columns(Path(data), names, size, separator, text):
            raw = _naming(data, preparation, columns, row, unseen)
            row += len(raw)
            yield raw
    else:
        columns = table_columns(data, preparation)
        yield from torch.split(preparation.raw_inputs(columns, unseen=unseen), size)
    unseen.warn()


def labelled_rows(
    data: Any,
    preparation: AnyPreparation,
    separator: str | None = None,
    missing: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Return inputs and labels as the model learned them: prepared and scaled.

    Args:
        data: A path of a table or a table, with the labels; or a pair of inputs and labels, in
            their own units.
        preparation: That of the run.
        separator: What separates the values of a CSV file; found out by default.
        missing: What the training did with rows in which a value is missing, see `TableOptions`.
            If it dropped some, so does this.

    Raises:
        DataError: The data cannot be read, lack a column, or miss a value that is needed.
        ShapeError: The rows have another shape than those of the training.

    Warns:
        UserWarning: There are categories that the training did not have, or rows are dropped.
    """
    if isinstance(preparation, Preparation):
        if isinstance(data, tuple | list) and len(data) == 2:
            columns = table_columns(data[0], preparation)
            columns |= _label_columns(data[1], preparation)
        elif isinstance(data, str | Path):
            names = [*(column.name for column in preparation.inputs), *preparation.labels.names]
            text = preparation.text_columns
            columns = read_columns(Path(data), names, separator, text)
        else:
            columns = table_columns(data, preparation)
        if missing is not None:
            columns = _without_gaps(columns, preparation)
        unseen = UnseenCategories()
        inputs = preparation.input_module()(preparation.raw_inputs(columns, unseen=unseen))
        unseen.warn()
        return inputs, preparation.scaled(preparation.raw_labels(columns))
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise DataError(
            f"Expected a pair of inputs and labels, not {describe(data)}: this run was trained on "
            "tensors."
        )
    inputs, labels = _tensor(data[0], preparation), promote_to_tensor(data[1])
    if preparation is None:
        return inputs, labels
    return preparation.input_module()(inputs), preparation.label_module()(labels)


def _without_gaps(columns: Columns, preparation: Preparation) -> Columns:
    """Drop the rows that miss a label, or an input that the training did not fill."""
    needed = [*preparation.labels.names, *(c.name for c in preparation.inputs if c.fill is None)]
    gaps = {name: is_gap(columns[name]) for name in needed if name in columns}
    dropped = np.logical_or.reduce(list(gaps.values()))
    if not dropped.any() or dropped.all():  # an error names the column
        return columns
    found = ", ".join(
        f"{counted(gap.sum(), 'value')} of {name!r}" for name, gap in gaps.items() if gap.any()
    )
    warn_user(
        f"Left out {dropped.sum()} of {len(dropped)} rows, with {found} missing, as in the "
        "training: fill in these values to test on all rows."
    )
    return {name: column[~dropped] for name, column in columns.items()}


def complete_rows(table: DataTable, preparation: Preparation, size: int) -> Tensor:
    """Return raw inputs of the first rows of a run's file that the training did not drop.

    Args:
        table: The table ``[data]``, with a file.
        preparation: That of the run.
        size: The largest number of rows to read.

    Raises:
        DataError: The file cannot be read, or has other columns than it had.
    """
    assert table.file is not None
    names = [column.name for column in preparation.inputs]
    text = preparation.text_columns
    columns = next(iterate_columns(table.file, names, size, table.separator, text), {})
    needed = [is_gap(columns[c.name]) for c in preparation.inputs if columns and c.fill is None]
    kept = ~np.logical_or.reduce(needed) if needed else slice(None)
    chosen = {name: column[kept] for name, column in columns.items()}
    unseen = UnseenCategories()  # a file that has changed since is warned of elsewhere
    return _naming(table.file, preparation, chosen, 0, unseen) if chosen else torch.empty(0)


def unscaled(inputs: Tensor, preparation: TensorPreparation | None) -> Tensor:
    """Return inputs as they were before the training scaled them."""
    if preparation is None:
        return inputs
    mean, scale = (inputs.new_tensor(v) for v in (preparation.mean, preparation.scale))
    return inputs * scale.reshape(preparation.shape) + mean.reshape(preparation.shape)


def table_columns(data: Any, preparation: Preparation) -> Columns:
    """Return the columns of a table in memory, or of an array with the inputs in their order.

    Raises:
        DataError: The data are not a table.
        ShapeError: An array has another number of columns.
    """
    if not isinstance(data, np.ndarray | Tensor | list):
        return columns_of(data)
    array = data.detach().cpu().numpy() if isinstance(data, Tensor) else array_of(data, "rows")
    names = [column.name for column in preparation.inputs]
    if array.ndim != 2 or array.shape[1] != len(names):
        raise ShapeError(
            f"The rows have shape {tuple(array.shape)}; expected (N, {len(names)}), with the "
            f"columns {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}. Or pass "
            f"{_TABLES}."
        )
    return columns_of(dict(zip(names, array.T, strict=True)))


def _label_columns(labels: Any, preparation: Preparation) -> Columns:
    if hasattr(labels, "columns"):
        return columns_of(labels)
    names = preparation.labels.names
    if isinstance(labels, Tensor):
        labels = labels.detach().cpu()
    array = array_of(labels, names[0])
    array = array.reshape(len(array), -1)
    if array.shape[1] != len(names):
        raise ShapeError(
            f"The labels have {counted(array.shape[1], 'column')}; expected {len(names)}: "
            f"{', '.join(names)}."
        )
    return columns_of(dict(zip(names, array.T, strict=True)))


def _naming(
    path: str | Path, preparation: Preparation, columns: Columns, row: int, unseen: UnseenCategories
) -> Tensor:
    try:
        return preparation.raw_inputs(columns, row, unseen)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _array(path: Path) -> np.ndarray:
    if path.suffix != ".npy":
        raise DataError(
            f"{path}: this run was trained on tensors and has no columns by name. Save its rows "
            "with numpy.save as a file .npy, or pass them as an array or a tensor."
        )
    if is_special(path):
        raise DataError(f"{path} is not a regular file.")
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}.") from error
    return array


def _tensor(data: Any, preparation: TensorPreparation | None) -> Tensor:
    if isinstance(data, str | Path):
        data = _array(Path(data))
    if isinstance(data, Mapping):
        raise DataError(
            "Expected an array or a tensor of rows, not a mapping of columns: this run was trained "
            "on tensors."
        )
    if hasattr(data, "to_numpy"):
        data = data.to_numpy()
    tensor = promote_to_tensor(data)
    shape = None if preparation is None else preparation.shape
    if shape is not None and tuple(tensor.shape[1:]) != tuple(shape):
        raise ShapeError(
            f"The rows have shape {tuple(tensor.shape)}; expected {('N', *shape)}, as in the "
            "training.".replace("'N'", "N")
        )
    return tensor
