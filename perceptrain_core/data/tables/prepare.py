"""The preparation of a table, with the figures of its training rows, and the tensors it makes."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from perceptrain_core.data.tables.columns import Column, as_numbers, is_gap
from perceptrain_core.data.tables.preparation import InputColumn, LabelColumns, Preparation
from perceptrain_core.data.tables.table import Table
from perceptrain_core.errors import DataError

#: As many as fit the caches; and for fewer than this torch uses one thread, which is faster here.
_VALUES = 1 << 15
_FEWEST = 64


def prepare_table(
    table: Table,
    training: Tensor,
    encoding: Literal["one_hot", "codes"] = "one_hot",
    standardize: bool = False,
    scale_labels: bool = False,
    fill: bool = False,
    unseen: Literal["zeros", "refuse"] = "zeros",
) -> Preparation:
    """Describe how a table is prepared; means, scales and fills are of the training rows.

    Args:
        table: The table.
        training: The numbers of the training rows, int64.
        encoding: How categories become inputs.
        standardize: Scale numbers to mean 0 and standard deviation 1.
        scale_labels: Scale labels in the same way; they must be numbers.
        fill: Fill missing numbers with the median, and missing categories with the most frequent.
        unseen: How to encode new categories in predictions, see `Preparation`.

    Raises:
        DataError: Labels that are classes should be scaled, or a column has no value in the
            training rows.
    """
    rows = training.numpy()
    inputs = []
    for name in table.inputs:
        column = table.columns[name][rows]
        if is_gap(column).all():
            raise DataError(f"column {name!r} has no value in the training rows: leave it out.")
        if name in table.categories:
            most = _most_frequent(column) if fill else None
            inputs.append(InputColumn(name, "category", table.categories[name], fill=most))
        else:
            inputs.append(_number_column(name, column, standardize, fill))
    return Preparation(tuple(inputs), _label_columns(table, rows, scale_labels), encoding, unseen)


def make_tensors(table: Table, preparation: Preparation) -> tuple[Tensor, ...]:
    """Return the inputs, the labels and the weights, if there are any, of all rows.

    Returns:
        Inputs of shape ``(N, in_features)``, float32; labels of shape ``(N, labels)``, float32, or
        ``(N,)``, int64, for classes; weights of shape ``(N,)``, float32.

    Raises:
        DataError: A value cannot be used.
    """
    module = preparation.input_module()
    inputs = torch.empty(table.rows, preparation.in_features)
    rows = max(_FEWEST, _VALUES // preparation.in_features)
    for start in range(0, table.rows, rows):
        part = slice(start, start + rows)
        chunk = {name: table.columns[name][part] for name in table.inputs}
        inputs[part] = module(preparation.raw_inputs(chunk, first_row=start))
    labels = preparation.scaled(preparation.raw_labels(table.columns))
    return (inputs, labels) if table.weights is None else (inputs, labels, table.weights)


def mean_and_scale(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the mean and the standard deviation; the value and 1 for a constant."""
    if values.min() == values.max():  # whose mean may be off by a rounding error
        return float(values[0]), 1.0
    return float(values.mean()), float(values.std())


def _number_column(name: str, column: Column, standardize: bool, fill: bool) -> InputColumn:
    gaps = np.isnan(column)
    median = float(np.median(column[~gaps])) if fill else None
    if not standardize:
        return InputColumn(name, "number", fill=median)
    _check_finite(name, column)
    mean, scale = mean_and_scale(column if median is None else np.where(gaps, median, column))
    return InputColumn(name, "number", mean=mean, scale=scale, fill=median)


def _label_columns(table: Table, rows: NDArray[np.int64], scale: bool) -> LabelColumns:
    names = tuple(table.labels)
    if not scale:
        return LabelColumns(names, table.classes)
    if table.classes is not None:
        raise DataError("scale_labels is for numbers, and the labels are classes: leave it out.")
    columns = [as_numbers(table.columns[name], name)[rows] for name in names]
    for name, column in zip(names, columns, strict=True):
        _check_finite(name, column)
    means, scales = zip(*map(mean_and_scale, columns), strict=True)
    return LabelColumns(names, None, means, scales)


def _most_frequent(column: Column) -> str:
    counts: Counter[str] = Counter(text for text in column if text is not None)
    return min(counts, key=lambda text: (-counts[text], text))


def _check_finite(name: str, column: Column) -> None:
    if np.isinf(column).any():
        raise DataError(f"column {name!r} has values that are infinite: correct them.")
