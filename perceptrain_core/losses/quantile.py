"""Quantile regression: the pinball loss."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import ConfigError, ShapeError
from perceptrain_core.losses.support.batches import labelled
from perceptrain_core.losses.support.options import check_reduction
from perceptrain_core.losses.support.sample_weights import reduced_values
from perceptrain_core.losses.support.shapes import require_tensor, same_shape
from perceptrain_core.types import Metrics, TBatch


def quantile_loss(
    batch: TBatch,
    model: nn.Module,
    *,
    quantiles: float | Sequence[float] = 0.5,
    reduction: str = "mean",
) -> tuple[Tensor, Metrics]:
    """Pinball loss, minimized by the quantiles of the labels (Koenker and Bassett, 1978).

    For a quantile q, the loss of an element is ``max(q (y - f), (q - 1) (y - f))``.

    Args:
        batch: ``(inputs, labels)``. A third tensor holds a weight for each row, shape ``(N,)``.
        model: For one quantile, returns outputs of the shape and dtype of the labels. For a
            sequence of Q quantiles, returns outputs of shape ``(..., Q)``, and the labels have
            shape ``(...)`` or ``(..., 1)``.
        quantiles: One or several numbers between 0 and 1; the default is the median.
        reduction: "mean" or "sum" over all elements and quantiles.

    Returns:
        The loss, and no metrics.

    Raises:
        ShapeError: The shapes of outputs, labels and quantiles do not match.
        DataError: The batch has another form, the dtypes differ, or the batch is empty.
        ConfigError: A quantile is not between 0 and 1, or the reduction does not return a scalar.
    """
    check_reduction(reduction)
    several = isinstance(quantiles, Sequence)
    levels = _checked(quantiles if several else (quantiles,))
    outputs, labels, weights = labelled(batch, model)
    if several:
        labels = _one_for_each(outputs, labels, len(levels))
    outputs, labels = same_shape(outputs, labels)
    errors = labels - outputs
    level = outputs.new_tensor(levels) if several else levels[0]
    costs = torch.maximum(level * errors, (level - 1) * errors)
    return reduced_values(costs, weights, reduction)


def _median(*, quantiles: Any = 0.5, **_: Any) -> int:
    """Return the column of the level next to the median."""
    levels = _checked(quantiles) if isinstance(quantiles, Sequence) else [0.5]
    return min(range(len(levels)), key=lambda column: abs(levels[column] - 0.5))


quantile_loss.prediction_column = _median  # type: ignore[attr-defined]


def _checked(given: Any) -> Sequence[float]:
    quantiles: list[float] = given.tolist() if isinstance(given, Tensor) else list(given)
    numbers = all(isinstance(quantile, Real) for quantile in quantiles)
    if quantiles and numbers and all(0 < quantile < 1 for quantile in quantiles):
        return quantiles
    raise ConfigError(
        f"quantiles={given!r}: expected numbers between 0 and 1, such as [0.1, 0.5, 0.9]."
    )


def _one_for_each(outputs: Tensor, labels: Any, number: int) -> Tensor:
    """Repeat the labels for each quantile, without relying on broadcasting."""
    values = require_tensor(labels)
    rows = outputs.shape[:-1]
    if outputs.shape[-1:] != (number,) or values.shape not in (rows, (*rows, 1)):
        raise ShapeError(
            f"The model's output has shape {tuple(outputs.shape)} and the labels have shape "
            f"{tuple(values.shape)}; for {number} quantiles expected outputs of shape "
            f"(..., {number}) and labels of shape (...) or (..., 1)."
        )
    return values.reshape(*rows, 1).expand_as(outputs)


def _output_size(size: int, quantiles: float | Sequence[float] = 0.5, **others: Any) -> int:
    return len(quantiles) if isinstance(quantiles, Sequence) else size


quantile_loss.output_size = _output_size  # type: ignore[attr-defined]
