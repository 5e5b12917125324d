"""What the losses here share: the model's output and the labels of a batch, and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from perceptrain import check_range, values_are_checked
from perceptrain.errors import ConfigError, DataError, ShapeError

_ROUNDING = 1e-2  # of labels that are probabilities


def outputs_and_labels(batch: Any, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Run the model on a batch ``(inputs, labels)``.

    Raises:
        DataError: The batch has another form or no rows, or the model did not return a tensor.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise DataError(f"The batch is {_describe(batch)}; expected (inputs, labels).")
    inputs, labels = batch
    if not isinstance(labels, Tensor):
        raise DataError(
            f"The labels are {_describe(labels)}; expected a tensor. Use torch.as_tensor(labels)."
        )
    outputs = model(inputs)
    if not isinstance(outputs, Tensor):
        raise DataError(f"The model returned {_describe(outputs)}; expected a tensor of logits.")
    if not outputs.numel():
        raise DataError(
            f"The model's output has shape {tuple(outputs.shape)}: the batch has no rows, and "
            "their mean is undefined. Leave empty batches out."
        )
    return outputs, labels


def classes(batch: Any, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return logits of shape ``(N, C)`` and class indices of shape ``(N,)``, as int64.

    Raises:
        ShapeError: The shapes do not match.
        DataError: The labels are not integers from 0 to C - 1, or the batch has another form.
    """
    logits, labels = outputs_and_labels(batch, model)
    if labels.is_floating_point() or labels.is_complex():
        raise DataError(f"The labels are {labels.dtype}; expected class indices, int64.")
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ShapeError(
            f"The model's output has shape {tuple(logits.shape)} and the labels have shape "
            f"{tuple(labels.shape)}; expected (N, C) and (N,)."
        )
    labels, last = labels.long(), logits.shape[1] - 1
    if values_are_checked(labels):
        advice = "Number the classes from 0, and use one output of the model for each."
        expected = f"classes from 0 to {last}, as the model has {last + 1} outputs"
        check_range("The labels", labels, 0, last, expected, advice)
    return logits, labels


def binary(batch: Any, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return logits, and labels between 0 and 1 of the same shape and dtype.

    Raises:
        ShapeError: The shapes differ.
        DataError: A label is not in [0, 1], or the batch has another form.
    """
    logits, labels = outputs_and_labels(batch, model)
    if labels.shape != logits.shape:
        raise ShapeError(
            f"The model's output has shape {tuple(logits.shape)} and the labels have shape "
            f"{tuple(labels.shape)}; expected the same, such as (N, 1)."
        )
    labels = labels.to(logits.dtype)
    if values_are_checked(labels):
        advice = "Divide a mask of 0 and 255 by 255; replace -1 by 0."
        low, high = -_ROUNDING, 1 + _ROUNDING
        check_range("The labels", labels, low, high, "0 and 1, or probabilities", advice)
    return logits, labels


def _describe(value: object) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, Mapping):
        return f"a {type(value).__name__} with the keys {', '.join(map(repr, value)) or '(none)'}"
    return f"an object of type {type(value).__name__}"


def check(fits: bool, expected: str, **option: Any) -> None:
    """Raise ConfigError unless an option fits."""
    if not fits:
        ((name, value),) = option.items()
        raise ConfigError(f"{name}={value!r}: expected {expected}.")


def is_number(value: Any, least: float, most: float = float("inf")) -> bool:
    """Whether a value is a number in a range, both ends included."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
