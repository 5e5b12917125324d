"""Cross entropy of logits, for classification."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.losses.support.batches import labelled
from perceptrain_core.losses.support.classes import (
    class_loss,
    class_targets,
    label_count,
    label_weights,
    mean_nll,
)
from perceptrain_core.losses.support.domains import check_classes, check_smoothing
from perceptrain_core.losses.support.option_weights import class_weight
from perceptrain_core.losses.support.options import Weight, check_reduction, over
from perceptrain_core.losses.support.sample_weights import weighted
from perceptrain_core.types import Count, Counted, Metrics, TBatch

#: Lower precision is left to `F.cross_entropy`, which autocast converts.
_EXACT = (torch.float32, torch.float64)


def cross_entropy_loss(
    batch: TBatch,
    model: nn.Module,
    *,
    weight: Weight = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    accuracy: bool = False,
) -> tuple[Tensor, Metrics]:
    """Cross entropy of ``softmax(f(x))``, as ``torch.nn.CrossEntropyLoss``.

    Args:
        batch: ``(inputs, labels)``. The labels are class indices, integers of shape ``(N,)`` or
            ``(N, d1, ...)``; or probabilities of all classes, floats of the shape of the logits. A
            third tensor holds a weight for each row, shape ``(N,)``.
        model: Returns logits of shape ``(N, C)`` or ``(N, C, d1, ...)``.
        weight: A weight for each class, a tensor or a sequence of numbers.
        ignore_index: A class index to ignore. The mean over a batch without any other is NaN, as in
            torch.
        label_smoothing: Share of the uniform distribution in the labels, in [0, 1].
        reduction: "mean" over the labels (weighted), or "sum".
        accuracy: Whether to report the accuracy as a metric.

    Returns:
        The loss, and as metrics ``{}`` or ``{"accuracy": ...}``: the share of labels predicted by
        the largest logit.

    Raises:
        ShapeError: The shapes of logits and labels do not match.
        DataError: The labels are not classes, or the batch has another form or is empty.
        ConfigError: The reduction does not return a scalar, or there is not a weight of at least 0
            for each class.
    """
    check_reduction(reduction)
    check_smoothing(label_smoothing)
    outputs, labels, sample_weights = labelled(batch, model)
    outputs, labels = class_targets(outputs, labels)
    check_classes(outputs, labels)
    weights = class_weight(weight, outputs)
    loss, count = class_loss(
        _cross_entropy,
        outputs,
        labels,
        weight=weights,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
        sample_weights=sample_weights,
    )
    if not accuracy:
        return loss, over(count, reduction)
    share, counted = _accuracy(outputs, labels, ignore_index, sample_weights)
    counts = {"loss": None if reduction == "sum" else count, "accuracy": counted}
    return loss, Counted({"accuracy": share}, counts)


cross_entropy_loss.output_activation = "softmax"  # type: ignore[attr-defined]


def _cross_entropy(
    outputs: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    label_smoothing: float,
    reduction: str,
    sample_weights: Any,
) -> tuple[Tensor, Count]:
    """Return the loss, and what it is a mean over."""
    indices = not labels.is_floating_point()
    smoothed = partial(F.cross_entropy, ignore_index=ignore_index, label_smoothing=label_smoothing)
    if sample_weights is not None:
        values = smoothed(outputs, labels, weight=weight, reduction="none")
        each = label_weights(labels, weight, ignore_index) if indices else None
        return weighted(values, sample_weights, reduction, each)
    plain = indices and outputs.ndim <= 2 and reduction == "mean" and not label_smoothing
    if plain and outputs.dtype in _EXACT:
        return mean_nll(outputs.log_softmax(-1), labels, weight, ignore_index)
    loss = smoothed(outputs, labels, weight=weight, reduction=reduction)
    if indices:
        return loss, label_count(labels, weight, ignore_index)
    return loss, labels.numel() // labels.shape[min(1, labels.ndim - 1)]


def _accuracy(
    outputs: Tensor, labels: Tensor, ignore_index: int, sample_weights: Any
) -> tuple[Tensor, Count]:
    """Return the share of right predictions, and the number of labels that it is a share of."""
    dim = 1 if outputs.ndim > 1 else 0
    shares = labels.is_floating_point()
    truth = labels.argmax(dim) if shares else labels
    counted = truth >= 0 if shares else labels != ignore_index
    hits = (outputs.detach().argmax(dim) == truth) & counted
    if sample_weights is not None:
        numbers = hits.double()
        return weighted(numbers, sample_weights, "mean", counted)
    number = counted.sum()
    return hits.sum().double() / number, number  # exact, as the share of a count should be
