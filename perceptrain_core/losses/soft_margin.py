"""Logistic loss for two classes."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.losses.support.batches import labelled
from perceptrain_core.losses.support.domains import check_soft_signs
from perceptrain_core.losses.support.options import check_reduction
from perceptrain_core.losses.support.sample_weights import reduced
from perceptrain_core.losses.support.shapes import same_shape
from perceptrain_core.types import Metrics, TBatch


def soft_margin_loss(
    batch: TBatch, model: nn.Module, *, reduction: str = "mean"
) -> tuple[Tensor, Metrics]:
    """Logistic loss ``log(1 + exp(-y f(x)))``, as ``torch.nn.SoftMarginLoss``.

    Args:
        batch: ``(inputs, labels)``; the labels are 1 and -1, as floats. A third tensor holds a
            weight for each row, shape ``(N,)``.
        model: Returns scores of the shape and dtype of the labels.
        reduction: "mean" or "sum" over all elements.

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: Scores and labels differ in shape.
        DataError: The batch has another form, the dtypes differ, or the batch is empty.
        ConfigError: The reduction does not return a scalar.
    """
    check_reduction(reduction)
    outputs, labels, weights = labelled(batch, model)
    outputs, labels = same_shape(outputs, labels)
    check_soft_signs(outputs, labels)
    criterion = partial(F.soft_margin_loss, outputs, labels)
    return reduced(criterion, weights, outputs.numel(), reduction)


soft_margin_loss.output_activation = "sigmoid"  # type: ignore[attr-defined]
