"""Kullback-Leibler divergence."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.losses.support.batches import labelled
from perceptrain_core.losses.support.domains import check_divergence
from perceptrain_core.losses.support.options import check_reduction, over
from perceptrain_core.losses.support.sample_weights import reduced_values
from perceptrain_core.losses.support.shapes import same_shape
from perceptrain_core.types import Metrics, TBatch

_REDUCTIONS = ("mean", "batchmean", "sum")


def kl_div_loss(
    batch: TBatch, model: nn.Module, *, log_target: bool = False, reduction: str = "mean"
) -> tuple[Tensor, Metrics]:
    """Kullback-Leibler divergence ``y (log y - f(x))``, as ``torch.nn.KLDivLoss``.

    Args:
        batch: ``(inputs, labels)``; the labels are probabilities, or their logarithms. A third
            tensor holds a weight for each row, shape ``(N,)``.
        model: Returns log-probabilities of the shape and dtype of the labels.
        log_target: Whether the labels are logarithms.
        reduction: "mean" over all elements, torch's default; "batchmean" over the rows, which is
            the mathematical definition of the divergence; or "sum".

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: Outputs and labels differ in shape.
        DataError: The batch has another form, the dtypes differ, or the batch is empty.
        ConfigError: The reduction does not return a scalar.
    """
    check_reduction(reduction, _REDUCTIONS)
    outputs, labels, weights = labelled(batch, model)
    outputs, labels = same_shape(outputs, labels)
    check_divergence(outputs, labels, log_target)
    if weights is not None:
        values = F.kl_div(outputs, labels, reduction="none", log_target=log_target)
        by_rows = values.reshape(len(values), -1).sum(1) if reduction == "batchmean" else values
        return reduced_values(by_rows, weights, reduction)
    if reduction == "mean":  # torch warns about its own default, so compute the mean here
        total = F.kl_div(outputs, labels, reduction="sum", log_target=log_target)
        return total / outputs.numel(), over(outputs.numel(), reduction)
    loss = F.kl_div(outputs, labels, reduction=reduction, log_target=log_target)
    return loss, over(len(outputs), reduction)


kl_div_loss.output_activation = "exp"  # type: ignore[attr-defined]
