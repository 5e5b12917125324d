"""Focal losses: cross entropy that gives easy rows less weight (Lin et al., arXiv 1708.02002)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import Counted
from perceptrain_optimizers.losses.rows import binary, check, classes, is_number


def binary_focal_loss(
    batch: Any, model: nn.Module, *, gamma: float = 2.0, alpha: float | None = None
) -> tuple[Tensor, Counted]:
    """Focal loss of two classes, ``-(1 - p)^gamma log p`` of the probability of the true one.

    Args:
        batch: ``(inputs, labels)``, with labels in [0, 1].
        model: Returns logits of the shape of the labels, such as ``(N, 1)``.
        gamma: The exponent; 0 is binary cross entropy.
        alpha: The weight of the label 1, in [0, 1]; the label 0 has ``1 - alpha``. By default both
            have 1.

    Returns:
        The mean over all labels, and no metrics.

    Raises:
        ShapeError: Logits and labels differ in shape.
        DataError: A label is not in [0, 1], or the batch has another form.
        ConfigError: An option is not valid.
    """
    check(is_number(gamma, 0), "a number of at least 0", gamma=gamma)
    check(alpha is None or is_number(alpha, 0, 1), "a number in [0, 1]", alpha=alpha)
    logits, labels = binary(batch, model)
    entropy = F.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    probabilities = logits.sigmoid()
    wrong = probabilities + labels - 2 * probabilities * labels  # 1 - p of the true class
    values = _power(wrong, gamma) * entropy
    if alpha is not None:
        values = values * (alpha * labels + (1 - alpha) * (1 - labels))
    return values.mean(), Counted({}, values.numel())


def class_focal_loss(
    batch: Any, model: nn.Module, *, gamma: float = 2.0, weight: Sequence[float] | None = None
) -> tuple[Tensor, Counted]:
    """Focal loss of classes that exclude each other, ``-(1 - p)^gamma log p`` of the true one.

    Args:
        batch: ``(inputs, labels)``, with class indices of shape ``(N,)``.
        model: Returns logits of shape ``(N, C)``.
        gamma: The exponent; 0 is cross entropy.
        weight: A weight for each class, as of ``cross_entropy``.

    Returns:
        The mean over the rows, weighted by their classes; and no metrics.

    Raises:
        ShapeError: The shapes of logits and labels do not match.
        DataError: The labels are not classes of the model, or the batch has another form.
        ConfigError: An option is not valid.
    """
    check(is_number(gamma, 0), "a number of at least 0", gamma=gamma)
    logits, labels = classes(batch, model)
    log_p = logits.log_softmax(1).gather(1, labels[:, None])[:, 0]
    values = -_power(1 - log_p.exp(), gamma) * log_p
    if weight is None:
        return values.mean(), Counted({}, len(values))
    number = logits.shape[1]
    check(len(weight) == number, f"one number for each of {number} classes", weight=weight)
    each = logits.new_tensor(weight)[labels]
    return (each * values).sum() / each.sum(), Counted({}, each.sum())


def _power(wrong: Tensor, gamma: float) -> Tensor:
    """Return ``wrong ** gamma`` with a finite gradient at 0, also for ``gamma`` below 1."""
    return wrong.clamp(min=torch.finfo(wrong.dtype).eps) ** gamma


binary_focal_loss.output_activation = "sigmoid"  # type: ignore[attr-defined]
binary_focal_loss.binary_labels = True  # type: ignore[attr-defined]
class_focal_loss.output_activation = "softmax"  # type: ignore[attr-defined]
