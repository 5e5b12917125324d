"""Poisson negative log likelihood, for counts."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.losses.support.batches import labelled
from perceptrain_core.losses.support.domains import check_counts
from perceptrain_core.losses.support.options import check_reduction
from perceptrain_core.losses.support.sample_weights import reduced
from perceptrain_core.losses.support.shapes import same_shape
from perceptrain_core.types import Metrics, TBatch


def poisson_nll_loss(
    batch: TBatch,
    model: nn.Module,
    *,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> tuple[Tensor, Metrics]:
    """Negative log likelihood of a Poisson distribution, as ``torch.nn.PoissonNLLLoss``.

    Args:
        batch: ``(inputs, labels)``; the labels are counts, as floats. A third tensor holds a weight
            for each row, shape ``(N,)``.
        model: Returns the rate or its logarithm, of the shape and dtype of the labels.
        log_input: Whether the model returns the logarithm. The loss is then ``exp(f) - y f``,
            otherwise ``f - y log(f + eps)``.
        full: Whether to add Stirling's approximation of ``log(y!)``.
        eps: Added to the rate before taking its logarithm.
        reduction: "mean" or "sum" over all elements.

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: Outputs and labels differ in shape.
        DataError: The batch has another form, the dtypes differ, or the batch is empty.
        ConfigError: The reduction does not return a scalar.
    """
    check_reduction(reduction)
    outputs, labels, weights = labelled(batch, model)
    outputs, labels = same_shape(outputs, labels)
    check_counts(outputs, labels)
    likelihood = partial(F.poisson_nll_loss, outputs, labels, log_input=log_input)
    criterion = partial(likelihood, full=full, eps=eps)
    return reduced(criterion, weights, outputs.numel(), reduction)


def _of_rates(log_input: bool = True, **others: Any) -> str | None:
    return "exp" if log_input else None


poisson_nll_loss.output_activation = _of_rates  # type: ignore[attr-defined]
poisson_nll_loss.unscaled_labels = True  # type: ignore[attr-defined]  # scaled counts are no counts
