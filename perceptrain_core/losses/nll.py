"""Negative log likelihood for classification."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.losses.support.batches import labelled
from perceptrain_core.losses.support.classes import (
    class_indices,
    class_loss,
    label_count,
    label_weights,
    mean_nll,
)
from perceptrain_core.losses.support.domains import check_log_probabilities
from perceptrain_core.losses.support.option_weights import class_weight
from perceptrain_core.losses.support.options import Weight, check_reduction, over
from perceptrain_core.losses.support.sample_weights import weighted
from perceptrain_core.types import Metrics, TBatch


def nll_loss(
    batch: TBatch,
    model: nn.Module,
    *,
    weight: Weight = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> tuple[Tensor, Metrics]:
    """Negative log likelihood, as ``torch.nn.NLLLoss``; the model ends in a log-softmax.

    Args:
        batch: ``(inputs, labels)``; the labels are class indices, integers of shape ``(N,)`` or
            ``(N, d1, ...)``. A third tensor holds a weight for each row, shape ``(N,)``.
        model: Returns log-probabilities of shape ``(N, C)`` or ``(N, C, d1, ...)``.
        weight: A weight for each class, a tensor or a sequence of numbers.
        ignore_index: A class index to ignore.
        reduction: "mean" over the labels (weighted), or "sum".

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: The shapes of outputs and labels do not match.
        DataError: The labels are not classes, or the batch has another form or is empty.
        ConfigError: The reduction does not return a scalar, or there is not a weight of at least 0
            for each class.
    """
    check_reduction(reduction)
    outputs, labels, sample_weights = labelled(batch, model)
    outputs, labels = class_indices(outputs, labels)
    check_log_probabilities(outputs, labels)
    weights = class_weight(weight, outputs)
    loss, count = class_loss(
        _nll,
        outputs,
        labels,
        weight=weights,
        ignore_index=ignore_index,
        reduction=reduction,
        sample_weights=sample_weights,
    )
    return loss, over(count, reduction)


nll_loss.output_activation = "exp"  # type: ignore[attr-defined]


def _nll(
    outputs: Tensor,
    labels: Tensor,
    weight: Tensor | None,
    ignore_index: int,
    reduction: str,
    sample_weights: Any,
) -> tuple[Tensor, Tensor]:
    """Return the loss, and what it is a mean over."""
    criterion = partial(F.nll_loss, outputs, labels, weight=weight, ignore_index=ignore_index)
    if sample_weights is not None:
        each = label_weights(labels, weight, ignore_index)
        return weighted(criterion(reduction="none"), sample_weights, reduction, each)
    if outputs.ndim <= 2 and reduction == "mean":
        return mean_nll(outputs, labels, weight, ignore_index)
    return criterion(reduction=reduction), label_count(labels, weight, ignore_index)
