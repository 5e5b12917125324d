"""Binary cross entropy of logits."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.losses.support.batches import labelled
from perceptrain_core.losses.support.domains import check_binary
from perceptrain_core.losses.support.option_weights import element_weights
from perceptrain_core.losses.support.options import Weight, check_reduction
from perceptrain_core.losses.support.sample_weights import reduced
from perceptrain_core.losses.support.shapes import same_shape
from perceptrain_core.types import Metrics, TBatch


def bce_with_logits_loss(
    batch: TBatch,
    model: nn.Module,
    *,
    weight: Weight = None,
    pos_weight: Weight = None,
    reduction: str = "mean",
) -> tuple[Tensor, Metrics]:
    """Binary cross entropy of ``sigmoid(f(x))``, as ``torch.nn.BCEWithLogitsLoss``.

    Args:
        batch: ``(inputs, labels)``; the labels are floats in [0, 1]. A third tensor holds a weight
            for each row, shape ``(N,)``.
        model: Returns logits of the shape and dtype of the labels, e.g. ``(N, 1)`` or ``(N, C)``.
        weight: A factor for each element, of a shape that broadcasts to that of the labels.
        pos_weight: The weight of positive labels, for each class (the last dimension).
        reduction: "mean" or "sum" over all elements.

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: Logits and labels differ in shape.
        DataError: The batch has another form, the dtypes differ, or the batch is empty.
        ConfigError: The reduction does not return a scalar, or a weight has another shape or is
            negative.
    """
    check_reduction(reduction)
    outputs, labels, sample_weights = labelled(batch, model)
    outputs, labels = same_shape(outputs, labels)
    check_binary(outputs, labels)
    weights = element_weights(outputs, weight=weight, pos_weight=pos_weight)
    criterion = partial(
        F.binary_cross_entropy_with_logits,
        outputs,
        labels,
        weight=weights[0],
        pos_weight=weights[1],
    )
    return reduced(criterion, sample_weights, outputs.numel(), reduction)


bce_with_logits_loss.output_activation = "sigmoid"  # type: ignore[attr-defined]
#: Two classes of a run file become 0 and 1.
bce_with_logits_loss.binary_labels = True  # type: ignore[attr-defined]
