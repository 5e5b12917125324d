"""Cross entropy of logits, for classification."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.losses.support.batches import labelled
from perceptrain_core.losses.support.classes import class_loss, class_targets
from perceptrain_core.losses.support.options import Weight, check_reduction, weight_like
from perceptrain_core.types import Metrics, TBatch


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
            ``(N, d1, ...)``; or probabilities of all classes, floats of the shape of the logits.
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
        ConfigError: The reduction does not return a scalar.
    """
    check_reduction(reduction)
    outputs, labels = class_targets(*labelled(batch, model))
    loss = class_loss(
        F.cross_entropy,
        outputs,
        labels,
        weight=weight_like(weight, outputs),
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        reduction=reduction,
    )
    return loss, {"accuracy": _accuracy(outputs, labels, ignore_index)} if accuracy else {}


def _accuracy(outputs: Tensor, labels: Tensor, ignore_index: int) -> Tensor:
    dim = 1 if outputs.ndim > 1 else 0
    hits = outputs.detach().argmax(dim)
    if labels.is_floating_point():
        return (hits == labels.argmax(dim)).to(outputs.dtype).mean()
    counted = labels != ignore_index
    return ((hits == labels) & counted).sum().to(outputs.dtype) / counted.sum()
