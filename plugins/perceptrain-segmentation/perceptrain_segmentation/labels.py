"""Checks and shapes of logits and labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from perceptrain import is_capturing
from perceptrain.errors import DataError, ShapeError


def split_batch(batch: Any) -> tuple[Any, Any]:
    """Split a batch into images and labels.

    Args:
        batch: ``(images, labels)``, a tuple or a list; or a dict with "image" and "label" and
            possibly other keys, as MONAI's loaders yield.

    Returns:
        The images and the labels.

    Raises:
        DataError: The batch has another form.
    """
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    if isinstance(batch, Mapping) and "image" in batch and "label" in batch:
        return batch["image"], batch["label"]
    got = f"a {type(batch).__name__}"
    if isinstance(batch, Mapping):
        got += f" with the keys {', '.join(map(repr, batch))}" if batch else " without keys"
    elif isinstance(batch, (tuple, list)):
        got += f" of {len(batch)}"
    raise DataError(
        f'The batch is {got}; expected (images, labels), a tuple of two, or a dict with "image" '
        'and "label". For other batches give lambda batch, model: '
        'loss_fn((batch["x"], batch["y"]), model).'
    )


def fit_labels(logits: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """Check the logits and the labels, and add a channel dimension to the labels.

    Args:
        logits: Floats of shape ``(N, K, H, W[, D])``.
        labels: Of shape ``(N, H, W[, D])``, ``(N, 1, H, W[, D])`` or ``(N, K, H, W[, D])``.

    Returns:
        The logits, and the labels of shape ``(N, 1, H, W[, D])`` or ``(N, K, H, W[, D])``.

    Raises:
        ShapeError: The shapes do not match.
        DataError: One is not a tensor or has a wrong dtype, or the batch is empty.
    """
    _require_logits(logits)
    if not isinstance(labels, Tensor) or labels.is_complex():
        got = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise DataError(f"The labels are {got}; expected a tensor of class indices, or one-hot.")
    if labels.dtype in (
        torch.uint16,
        torch.uint32,
        torch.uint64,
    ):  # torch supports few operations on them
        labels = labels.long()
    size = logits.shape[:1] + logits.shape[2:]
    if labels.shape == size:
        return logits, labels.unsqueeze(1)
    channels = labels.shape[1] if labels.ndim == logits.ndim else 0
    if channels in (1, logits.shape[1]) and labels.shape[:1] + labels.shape[2:] == size:
        return logits, labels
    raise ShapeError(
        f"The model returned {tuple(logits.shape)} and the labels have shape "
        f"{tuple(labels.shape)}; expected labels of shape {_shape(size, 1)} or {tuple(size)} with "
        f"class indices, or one-hot of {_shape(size, logits.shape[1])}. {_mend(logits, labels)}"
    )


def check_values(labels: Tensor, classes: int | None, ignore_index: int | None) -> None:
    """Check the values of labels, except while a step is recorded. A GPU waits for this.

    Args:
        labels: Labels that `fit_labels` returned.
        classes: The number of classes if labels are indices; None for channels of values in [0, 1].
        ignore_index: A further valid value.

    Raises:
        DataError: A label is not a class, or not in [0, 1].
    """
    if is_capturing():
        return
    known = labels
    if ignore_index is not None:
        known = labels.masked_fill(labels == ignore_index, 0)
    low, high = known.min().item(), known.max().item()
    top = 1 if classes is None else classes - 1
    whole = classes is None or not known.is_floating_point() or bool((known == known.round()).all())
    if low >= 0 and high <= top and whole:
        return
    expected = (
        "values from 0 to 1, for example (masks > 0)"
        if classes is None
        else f"whole class indices from 0 to {top}, one for each channel of the model"
    )
    raise DataError(
        f"The labels go from {low:g} to {high:g}{'' if whole else ', with fractions'}; expected "
        f"{expected}. For labels that are to be left out, dice, focal and tversky have "
        "ignore_index."
    )


def check_exclusive(labels: Tensor, remedy: str) -> None:
    """Check that classes exclude each other, except while a step is recorded. A GPU waits for this.

    Args:
        labels: One-hot, or probabilities, of shape ``(N, K, H, W[, D])``.
        remedy: The option for classes that overlap.

    Raises:
        DataError: The classes of a pixel add up to more than 1.
    """
    if is_capturing():
        return
    most = labels.sum(1, dtype=torch.float32).max().item()
    if most > 1.01:
        raise DataError(
            f"The classes of a pixel add up to {most:g} in the labels; expected 1 at most, as the "
            f"classes exclude each other under softmax. For classes that overlap give {remedy}."
        )


def _require_logits(logits: Any) -> None:
    if not isinstance(logits, Tensor):
        raise DataError(
            f"The model returned a {type(logits).__name__}; expected one tensor of logits, "
            "(N, K, H, W) or (N, K, H, W, D). Let the model return the tensor alone."
        )
    if not logits.is_floating_point():
        raise DataError(f"The model returned {logits.dtype}; expected logits, which are floats.")
    if logits.ndim < 3:
        raise ShapeError(
            f"The model returned {tuple(logits.shape)}; expected (N, K, H, W) or (N, K, H, W, D): "
            "logits for K classes at each pixel."
        )
    if not logits.numel():
        raise DataError(
            f"The model returned {tuple(logits.shape)}, nothing at all: leave empty batches out."
        )


def _shape(size: torch.Size, channels: int) -> tuple[int, ...]:
    return (size[0], channels, *size[1:])


def _mend(logits: Tensor, labels: Tensor) -> str:
    last = labels.shape[-1] if labels.ndim == logits.ndim else 0
    if last in (1, logits.shape[1]) and labels.shape[1:-1] == logits.shape[2:]:
        return "If the classes are the last dimension of the labels, use labels.movedim(-1, 1)."
    if labels.ndim == logits.ndim and labels.shape[2:] == logits.shape[2:]:
        return "Give the model one output channel for each class."
    return "The model must keep the height and width of the labels."
