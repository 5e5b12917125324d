"""Relative L2 error, as used for PDE solvers and operator learning."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.linalg import vector_norm

from perceptrain_core.errors import ConfigError, DataError
from perceptrain_core.losses.support.batches import labelled
from perceptrain_core.losses.support.options import check_reduction
from perceptrain_core.losses.support.sample_weights import reduced_values
from perceptrain_core.losses.support.shapes import same_shape
from perceptrain_core.types import Metrics, TBatch


def relative_l2_loss(
    batch: TBatch,
    model: nn.Module,
    *,
    per_sample: bool = False,
    eps: float = 1e-12,
    reduction: str = "mean",
) -> tuple[Tensor, Metrics]:
    """Relative L2 error ``||f(x) - y|| / ||y||``.

    Args:
        batch: ``(inputs, labels)``; the labels have shape ``(N, ...)``. A third tensor holds a
            weight for each row, shape ``(N,)``.
        model: Returns outputs of the shape and dtype of the labels.
        per_sample: By default the norms are over the whole batch, which is one ratio: the error
            reported on a grid. It is not the mean of the ratios of parts, so the trainer warns if a
            batch is split. If True, compute a ratio for each of the N samples, as in operator
            learning (Li et al., arXiv 2010.08895), where a sample is a function.
        eps: Lower bound of the denominator.
        reduction: "mean" or "sum" over the samples; without ``per_sample`` both are the same.

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: Outputs and labels differ in shape.
        DataError: The batch has another form, the dtypes differ, or the batch is empty.
        ConfigError: ``eps`` is not positive, or the reduction does not return a scalar.
    """
    check_reduction(reduction)
    if not eps > 0:
        raise ConfigError(f"eps={eps}: expected a small positive number, such as 1e-12.")
    outputs, labels, weights = labelled(batch, model)
    outputs, labels = same_shape(outputs, labels)
    if not per_sample:
        if weights is not None:
            raise DataError(
                "Sample weights need a loss for each sample, and this is one ratio for the whole "
                "batch: use relative_l2 with per_sample=True, or leave the weights out."
            )
        return vector_norm(outputs - labels) / vector_norm(labels).clamp_min(eps), {}
    rows = labels.reshape(len(labels), -1)
    errors = (outputs - labels).reshape(rows.shape)
    ratios = vector_norm(errors, dim=1) / vector_norm(rows, dim=1).clamp_min(eps)
    return reduced_values(ratios, weights, reduction)


def _is_one_ratio(per_sample: bool = False, **others: Any) -> bool:
    return not per_sample


relative_l2_loss.whole_batch = _is_one_ratio  # type: ignore[attr-defined]
