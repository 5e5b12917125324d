"""Checks of labels that are classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.losses.support.shapes import require_one_dtype, require_rows, require_tensor

Result = TypeVar("Result")


def class_indices(outputs: Tensor, labels: Any) -> tuple[Tensor, Tensor]:
    """Check labels that are class indices.

    Args:
        outputs: Scores of shape ``(N, C)``, ``(N, C, d1, ...)`` or ``(C,)``.
        labels: Integers of shape ``(N,)``, ``(N, d1, ...)`` or ``()``. Torch accepts only int64, so
            other integers are converted.

    Returns:
        The scores, and the labels as int64.

    Raises:
        ShapeError: The shapes do not match.
        DataError: The labels are not a tensor of integers, or the batch is empty.
    """
    labels = require_tensor(labels)
    expected = outputs.shape[:1] + outputs.shape[2:] if outputs.ndim > 1 else torch.Size()
    if labels.is_floating_point() or labels.is_complex():
        raise DataError(_not_indices(outputs, labels, expected))
    if labels.shape != expected:
        raise ShapeError(_wrong_shape(outputs, labels, expected))
    require_rows(outputs)
    return outputs, labels.long()


def class_targets(outputs: Tensor, labels: Any) -> tuple[Tensor, Tensor]:
    """Check labels that are class indices or class probabilities.

    Args:
        outputs: Scores, as for `class_indices`.
        labels: Integers, as for `class_indices`; or floats of the shape and dtype of the scores.

    Returns:
        The scores, and the labels.

    Raises:
        ShapeError: The shapes do not match.
        DataError: The dtypes differ, the labels are not a tensor, or the batch is empty.
    """
    labels = require_tensor(labels)
    if outputs.ndim > 1 and outputs.shape[1] == 1:
        raise ShapeError(
            f"The model's output has shape {tuple(outputs.shape)}: one class, whose cross entropy "
            f"is always 0. {_one_output(labels)}"
        )
    if not labels.is_floating_point() or labels.shape != outputs.shape:
        return class_indices(outputs, labels)
    require_rows(outputs)
    return require_one_dtype(outputs, labels), labels


def _one_output(labels: Tensor) -> str:
    if labels.is_floating_point():
        return (
            "The labels are floats: for numbers use mse, for 0 and 1 use bce_with_logits. For "
            "classes, the labels are class indices, int64, in a run file with classes = true in "
            "[data]."
        )
    return (
        "Add an output for each class to the model; for two classes and one logit, use "
        "bce_with_logits."
    )


def class_loss(criterion: Callable[..., Result], *args: Tensor, **options: Any) -> Result:
    """Evaluate a criterion, and explain the error if a label is out of range.

    Raises:
        DataError: A label is not in ``0 ... C - 1`` (on a GPU torch itself stops the process).
    """
    try:
        return criterion(*args, **options)
    except (IndexError, RuntimeError) as error:
        if "out of" not in str(error):
            raise
        raise out_of_range(error, *args) from error


def out_of_range(error: Exception, outputs: Tensor, labels: Tensor) -> DataError:
    """Return the error for class labels that torch refused."""
    return DataError(
        f"A class label is out of range: {str(error).rstrip('.')}. The model's output has shape "
        f"{tuple(outputs.shape)}, and the labels go from {int(labels.min())} to "
        f"{int(labels.max())}. Number the classes from 0, and use one output of the model for each."
    )


def mean_nll(
    log_probs: Tensor, labels: Tensor, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """Return the mean negative log likelihood, and the number of labels that it is a mean over.

    This is ``F.nll_loss`` of up to two dimensions, of which torch computes that number, too.

    Args:
        log_probs: Shape ``(N, C)`` or ``(C,)``.
        labels: Class indices of shape ``(N,)`` or ``()``.
        weight: A weight for each class; then the number is the sum of the weights of the labels.
        ignore_index: A class index that does not count.
    """
    mean, total = torch.ops.aten.nll_loss_forward(log_probs, labels, weight, 1, ignore_index)
    return mean, total


def label_count(labels: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    """Return the number of labels that count, or the sum of their weights."""
    return label_weights(labels, weight, ignore_index).sum()


def label_weights(labels: Tensor, weight: Tensor | None, ignore_index: int) -> Tensor:
    """Return what each label counts for: the weight of its class, or whether it is not ignored."""
    counted = labels != ignore_index
    if weight is None:
        return counted
    return weight[labels.where(counted, 0)].where(counted, 0.0)


_IN_A_FILE = "In a run file with a table of data, set classes = true in [data]."


def _not_indices(outputs: Tensor, labels: Tensor, expected: torch.Size) -> str:
    message = (
        f"The labels are {labels.dtype} of shape {tuple(labels.shape)}; expected class indices, "
        f"int64 of shape {tuple(expected)}. "
    )
    if labels.shape == expected:
        return message + (
            f"They were probably cast: keep class labels int64, or use labels.long(). {_IN_A_FILE}"
        )
    if labels.shape == (*expected, 1):
        return message + f"Use labels.squeeze(-1).long(). {_IN_A_FILE}"
    return message + (
        f"Only cross_entropy accepts probabilities, of the output's shape {tuple(outputs.shape)}."
    )


def _wrong_shape(outputs: Tensor, labels: Tensor, expected: torch.Size) -> str:
    message = (
        f"The model's output has shape {tuple(outputs.shape)} and the labels have shape "
        f"{tuple(labels.shape)}; expected class indices of shape {tuple(expected)}. "
    )
    if labels.shape == (*expected, 1):
        return message + "Use labels.squeeze(-1)."
    if labels.shape == outputs.shape:
        return message + "If the labels are one-hot, use labels.argmax(1)."
    return message + "The classes are the second dimension of the output."
