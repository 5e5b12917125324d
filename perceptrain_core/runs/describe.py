"""What a run found in its data, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from perceptrain_core.data.files.folds import are_class_maps, are_classes
from perceptrain_core.data.files.splits import rows_of_tensors
from perceptrain_core.data.tables.encode import ClassName
from perceptrain_core.data.tables.preparation import Preparation
from perceptrain_core.plurals import counted
from perceptrain_core.runs.data import RunData

_LISTED = 5
_FAR = 100.0


def describe_data(data: RunData, unscaled: bool = False) -> list[str]:
    """Return the task, the inputs, what was dropped or filled, and advice about the labels.

    Args:
        data: The data.
        unscaled: Whether the loss needs labels in their units, so that scaling is not advised.
    """
    tensors = rows_of_tensors(data.splits.train) or ()
    if len(tensors) < 2:
        return data.notes
    scales = [] if unscaled else _scales(data)
    return [f"{_task(data, unscaled)}{_inputs(data)}.", *data.notes, *scales]


def _task(data: RunData, unscaled: bool) -> str:
    names = data.preparation.labels if isinstance(data.preparation, Preparation) else None
    inputs, labels = (rows_of_tensors(data.splits.train) or ())[:2]
    if names is not None and names.classes is not None:
        return f"Classification of {names.names[0]} with {_listed('class', names.classes)}"
    if are_classes(labels):
        return f"Classification with {data.classes} classes"
    if are_class_maps(inputs, labels):
        shape = " x ".join(map(str, inputs.shape[1:]))
        return f"Segmentation into {data.classes} classes, of images of shape {shape}"
    if names is None:
        return "Regression"
    return f"{'Prediction' if unscaled else 'Regression'} of {', '.join(names.names)}"


def _inputs(data: RunData) -> str:
    if not isinstance(data.preparation, Preparation):
        return ""
    columns = data.preparation.inputs
    categories = [column.name for column in columns if column.kind == "category"]
    numbers = len(columns) - len(categories)
    parts = [f"{counted(numbers, 'number')}"] if numbers else []
    parts += [_listed("column", categories) + " of categories"] if categories else []
    size = data.preparation.in_features
    return f", from {' and '.join(parts)} ({counted(size, 'input')})"


def _scales(data: RunData) -> list[str]:
    """Say that labels are scaled, or that they should be."""
    prepared = data.preparation
    if prepared is not None and not isinstance(prepared.output_module(), nn.Identity):
        return [
            "The labels are scaled, so losses are in these units; metrics and predictions are in "
            "those of the labels."
        ]
    labels = (rows_of_tensors(data.splits.train) or ())[1]
    if not labels.is_floating_point() or labels.ndim > 2 or not len(labels):
        return []
    deviations, means = torch.std_mean(labels.double().reshape(len(labels), -1), 0, correction=0)
    for mean, deviation in zip(means.tolist(), deviations.tolist(), strict=True):
        if abs(mean) > _FAR or deviation > _FAR or 0 < deviation < 1 / _FAR:
            return [
                f"The labels have mean {mean:.3g} and deviation {deviation:.3g}, which trains "
                "slowly: set scale_labels = true in [data]."
            ]
    return []


def _listed(what: str, names: Sequence[ClassName]) -> str:
    plural = {"class": "classes", "column": "columns"}[what] if len(names) != 1 else what
    more = ", ..." if len(names) > _LISTED else ""
    return f"{len(names)} {plural} ({', '.join(map(str, names[:_LISTED]))}{more})"
