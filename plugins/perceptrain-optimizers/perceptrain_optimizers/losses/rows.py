"""What the losses here share: the model's output and the labels of a batch, and their checks."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from perceptrain.errors import ConfigError, DataError, ShapeError


def outputs_and_labels(batch: Any, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Run the model on a batch ``(inputs, labels)``.

    Raises:
        DataError: The batch has another form or no rows, or the model did not return a tensor.
    """
    if not isinstance(batch, tuple | list) or len(batch) != 2 or not isinstance(batch[1], Tensor):
        raise DataError(
            f"The batch is of type {type(batch).__name__}; expected (inputs, labels), with a "
            "tensor of labels."
        )
    outputs = model(batch[0])
    if not isinstance(outputs, Tensor) or not outputs.numel():
        raise DataError(f"The model returned {outputs!r:.80}; expected a tensor of scores.")
    return outputs, batch[1]


def classes(batch: Any, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return logits of shape ``(N, C)`` and class indices of shape ``(N,)``, as int64.

    Raises:
        ShapeError: The shapes do not match.
        DataError: The labels are not integers, or the batch has another form.
    """
    logits, labels = outputs_and_labels(batch, model)
    if labels.is_floating_point() or labels.is_complex():
        raise DataError(f"The labels are {labels.dtype}; expected class indices, int64.")
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ShapeError(
            f"The model's output has shape {tuple(logits.shape)} and the labels have shape "
            f"{tuple(labels.shape)}; expected (N, C) and (N,)."
        )
    return logits, labels.long()


def binary(batch: Any, model: nn.Module) -> tuple[Tensor, Tensor]:
    """Return logits, and labels between 0 and 1 of the same shape and dtype.

    Raises:
        ShapeError: The shapes differ.
        DataError: The batch has another form.
    """
    logits, labels = outputs_and_labels(batch, model)
    if labels.shape != logits.shape:
        raise ShapeError(
            f"The model's output has shape {tuple(logits.shape)} and the labels have shape "
            f"{tuple(labels.shape)}; expected the same, such as (N, 1)."
        )
    return logits, labels.to(logits.dtype)


def check(fits: bool, expected: str, **option: Any) -> None:
    """Raise ConfigError unless an option fits."""
    if not fits:
        ((name, value),) = option.items()
        raise ConfigError(f"{name}={value!r}: expected {expected}.")


def is_number(value: Any, least: float, most: float = float("inf")) -> bool:
    """Whether a value is a number in a range, both ends included."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
