"""Multi-class hinge loss."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.losses.support.batches import labelled
from perceptrain_core.losses.support.classes import class_indices, class_loss
from perceptrain_core.losses.support.option_weights import class_weight
from perceptrain_core.losses.support.options import Weight, check_reduction
from perceptrain_core.losses.support.sample_weights import reduced
from perceptrain_core.types import Metrics, TBatch


def multi_margin_loss(
    batch: TBatch,
    model: nn.Module,
    *,
    p: int = 1,
    margin: float = 1.0,
    weight: Weight = None,
    reduction: str = "mean",
) -> tuple[Tensor, Metrics]:
    """Multi-class hinge loss, as ``torch.nn.MultiMarginLoss``.

    The loss of a row with label ``y`` is ``sum_(c != y) max(0, margin - f_y + f_c)^p / C``.

    Args:
        batch: ``(inputs, labels)``; the labels are class indices, integers of shape ``(N,)``. A
            third tensor holds a weight for each row, shape ``(N,)``.
        model: Returns scores of shape ``(N, C)``.
        p: The power, 1 or 2.
        margin: Required lead of the right score.
        weight: A weight for each class, a tensor or a sequence of numbers.
        reduction: "mean" or "sum" over the rows.

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: The shapes of scores and labels do not match.
        DataError: The labels are not classes, or the batch has another form or is empty.
        ConfigError: The reduction does not return a scalar, or there is not a weight of at least 0
            for each class.
    """
    check_reduction(reduction)
    outputs, labels, sample_weights = labelled(batch, model)
    outputs, labels = class_indices(outputs, labels)
    weights = class_weight(weight, outputs)
    margins = partial(F.multi_margin_loss, p=p, margin=margin, weight=weights)
    criterion = partial(class_loss, margins, outputs, labels)
    return reduced(criterion, sample_weights, labels.numel(), reduction)
