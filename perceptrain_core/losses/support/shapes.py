"""Checks that outputs and labels match: one comparison in the hot path, messages only on failure.

Torch broadcasts ``(N, 1)`` against ``(N,)`` to ``(N, N)`` and trains on nonsense, so nothing is
broadcast here.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.tensors import describe

_LOW_PRECISION = (torch.float16, torch.bfloat16)


def same_shape(outputs: Tensor, labels: Any) -> tuple[Tensor, Tensor]:
    """Check that outputs and labels have the same shape and dtype.

    Args:
        outputs: The output of the model, of any shape.
        labels: Of the same shape and dtype. Outputs in half precision, from automatic mixed
            precision, are converted to labels in float32 or float64.

    Returns:
        Both, with the same dtype.

    Raises:
        ShapeError: The shapes differ.
        DataError: The labels are not a tensor, the dtypes differ, or the batch is empty.
    """
    if (
        isinstance(labels, Tensor)
        and outputs.dtype is labels.dtype
        and outputs.shape == labels.shape
        and outputs.numel()
    ):
        return outputs, labels
    return _reconcile(outputs, labels)


def require_tensor(labels: Any) -> Tensor:
    """Check that labels are a tensor.

    Raises:
        DataError: They are not.
    """
    if isinstance(labels, Tensor):
        return labels
    raise DataError(
        f"The labels are {describe(labels)}; expected a tensor to compare the model's output with. "
        "Batches are (inputs, labels)."
    )


def require_rows(outputs: Tensor) -> None:
    """Check that a batch is not empty, since its mean would be NaN.

    Raises:
        DataError: The tensor has no elements.
    """
    if not outputs.numel():
        raise DataError(
            f"The model's output has shape {tuple(outputs.shape)}, so there is nothing to compare: "
            "its loss would be NaN. Leave empty batches out of the loader."
        )


def require_one_dtype(outputs: Tensor, labels: Tensor) -> Tensor:
    """Convert outputs that autocast lowered to the dtype of the labels.

    Raises:
        DataError: The dtypes differ for any other reason.
    """
    if outputs.dtype is labels.dtype:
        return outputs
    if outputs.dtype in _LOW_PRECISION and labels.dtype in (torch.float32, torch.float64):
        return outputs.to(labels.dtype)
    advice = f"Convert the labels with labels.to({outputs.dtype}), or the model with model.to(...)."
    if outputs.is_complex() != labels.is_complex():
        advice = (
            "Compare real numbers with real ones, e.g. torch.view_as_real(z), z.real or z.abs()."
        )
    raise DataError(
        f"The model's output is {outputs.dtype} and the labels are {labels.dtype}; expected one "
        f"dtype. {advice}"
    )


def _reconcile(outputs: Tensor, labels: Any) -> tuple[Tensor, Tensor]:
    labels = require_tensor(labels)
    if outputs.shape != labels.shape:
        raise ShapeError(
            f"The model's output has shape {tuple(outputs.shape)} and the labels have shape "
            f"{tuple(labels.shape)}; expected the same. {_mend(outputs, labels)}"
        )
    require_rows(outputs)
    return require_one_dtype(outputs, labels), labels


def class_advice(outputs: Tensor, labels: Tensor) -> str:
    """Return advice for a loss that compares numbers, if its labels are class indices; or ""."""
    rows = outputs.shape[:1] + outputs.shape[2:]
    if labels.is_floating_point() or labels.is_complex() or labels.shape != rows:
        return ""
    if outputs.shape[1:2] in ((), (1,)):
        return ""
    return (
        f"The labels are {labels.dtype}, as class indices are, and this loss compares numbers: for "
        'classes use cross_entropy, in a run file with name = "cross_entropy" in [loss].'
    )


def _mend(outputs: Tensor, labels: Tensor) -> str:
    if advice := class_advice(outputs, labels):
        return advice
    if outputs.shape == (*labels.shape, 1):
        return "Use labels.unsqueeze(-1), or squeeze the model's output with output.squeeze(-1)."
    if labels.shape == (*outputs.shape, 1):
        return "Use labels.squeeze(-1), or unsqueeze the model's output with output.unsqueeze(-1)."
    return "Reshape the labels, or change the model's last layer."
