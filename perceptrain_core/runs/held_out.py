"""What a trained model predicts for the rows that were held out, beside the truth."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from perceptrain_core.data.files.splits import Splits, rows_of_tensors
from perceptrain_core.errors import ShapeError
from perceptrain_core.inference.outputs import outputs_of
from perceptrain_core.inference.pipeline import Pipeline
from perceptrain_core.inference.predictions import Predictions, Target
from perceptrain_core.losses.support.outputs import outputs_per_label
from perceptrain_core.runs.file_names import MOST_PREDICTIONS


def held_out_columns(
    model: nn.Module, loss_fn: Any, splits: Splits, restore: nn.Module | None, target: Target
) -> dict[str, NDArray[Any]]:
    """Return truth and predictions of the test rows, or of the validation rows.

    Args:
        model: The trained model.
        loss_fn: Its loss.
        splits: The data, prepared.
        restore: Turns outputs and labels into the units of the labels.
        target: What is predicted.

    Returns:
        The columns ``truth`` and ``prediction``, or ``truth_LABEL`` and so on for several labels,
        and ``probability_CLASS``; empty if the data are not rows with labels, or the outputs are
        not predictions of these labels. There are at most 10,000 rows, the first ones.
    """
    held_out = next((part for part in (splits.test, splits.val) if part is not None), None)
    rows = rows_of_tensors(held_out) or ()
    if len(rows) < 2 or rows[0].ndim < 2 or rows[1].ndim > 2:
        return {}
    inputs, labels = rows[0][:MOST_PREDICTIONS], rows[1][:MOST_PREDICTIONS]
    pipeline = Pipeline(model, None, target.activation, restore, outputs_per_label(loss_fn))
    outputs = outputs_of(pipeline, inputs)
    if outputs is None:
        return {}
    try:
        found = Predictions.of(outputs, target)
    except ShapeError:  # a loss may use outputs of any shape
        return {}
    truth = _truth(labels.cpu(), None if restore is None else restore.cpu(), target)
    if truth.values.shape != found.values.shape or found.values.ndim > 2:
        return {}
    return _columns(truth, found)


def _truth(labels: Tensor, restore: nn.Module | None, target: Target) -> Predictions:
    if target.classes is not None:
        numbers = labels.reshape(-1) if labels.shape[1:] == (1,) else labels
        return Predictions(numbers.long(), None, target)
    return Predictions(labels if restore is None else restore(labels), None, target)


def _columns(truth: Predictions, found: Predictions) -> dict[str, NDArray[Any]]:
    pairs = zip(truth.columns().items(), found.columns().values(), strict=False)
    several = found.values.ndim == 2 and found.values.shape[1] > 1
    columns: dict[str, NDArray[Any]] = {}
    for (label, true), predicted in pairs:
        rest = f"_{label}" if several else ""
        columns |= {f"truth{rest}": true, f"prediction{rest}": predicted}
    if found.probabilities is not None and found.probabilities.ndim == 2:
        chances = found.probabilities.numpy().T
        named = zip(found.classes or (), chances, strict=True)
        columns |= {f"probability_{name}": chance for name, chance in named}
    return columns
