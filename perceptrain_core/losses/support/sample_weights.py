"""Losses with a weight for each row of the batch."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from torch import Tensor

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.losses.support.options import over
from perceptrain_core.tensors import describe
from perceptrain_core.types import Count, Metrics
from perceptrain_core.value_checks import check_range, values_are_checked


def reduced(
    criterion: Callable[..., Tensor], weights: Any, count: Count, reduction: str
) -> tuple[Tensor, Metrics]:
    """Evaluate a criterion of torch, with or without sample weights.

    Args:
        criterion: ``criterion(reduction=...)``; with ``"none"`` it returns a loss for each element
            or label, shape ``(N, ...)``.
        weights: A weight for each row, of shape ``(N,)`` or ``(N, 1)``; ``None`` for none.
        count: The number of elements or labels that a mean without weights is over.
        reduction: "mean" or "sum".

    Returns:
        The loss and empty metrics with its count: the sum of the weights, with them.

    Raises:
        ShapeError: There is not one weight for each row.
        DataError: The weights are not a tensor of numbers, or one is negative.
    """
    if weights is None:
        return criterion(reduction=reduction), over(count, reduction)
    return reduced_values(criterion(reduction="none"), weights, reduction)


def reduced_values(values: Tensor, weights: Any, reduction: str) -> tuple[Tensor, Metrics]:
    """Return the mean or the sum of losses of elements, see `reduced`."""
    if weights is not None:
        loss, total = weighted(values, weights, reduction)
        return loss, over(total, reduction)
    return values.mean() if reduction == "mean" else values.sum(), over(values.numel(), reduction)


def weighted(
    values: Tensor, weights: Any, reduction: str, each: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the weighted mean or sum of the losses of elements or labels, and its count.

    Args:
        values: Shape ``(N, ...)``.
        weights: As for `reduced`.
        reduction: "mean" or "sum".
        each: What each value counts for in a mean without sample weights, of the shape of the
            values; by default 1.

    Returns:
        The loss, and the sum of the weights. The mean is 0 if all weights are.

    Raises:
        ShapeError: There is not one weight for each row.
        DataError: The weights are not a tensor of numbers, or one is negative.
    """
    factors = row_weights(weights, values)
    total = (factors * values).sum()
    count = (factors.expand_as(values) if each is None else factors * each).sum()
    if reduction == "sum":
        return total, count
    # A batch may have no weight at all; it then does not count.
    return total / count.where(count > 0, 1.0), count


def row_weights(weights: Any, values: Tensor) -> Tensor:
    """Return the weights of rows with the dtype of values ``(N, ...)``, to multiply them with.

    Raises:
        ShapeError: There is not one weight for each row.
        DataError: The weights are not a tensor of numbers, or one is negative.
    """
    if not isinstance(weights, Tensor) or weights.is_complex():
        raise DataError(
            f"The sample weights are {describe(weights)}; expected a tensor with a number for each "
            "row. A batch of three is (inputs, labels, weights); group several inputs, "
            "((input_1, input_2), labels)."
        )
    rows = values.shape[:1]
    if not rows or weights.shape not in (rows, (*rows, 1)):
        raise ShapeError(
            f"The sample weights have shape {tuple(weights.shape)}, and the losses of the batch "
            f"{tuple(values.shape)}; expected one weight for each row, shape {tuple(rows)}."
        )
    if values_are_checked():
        advice = (
            "Leave out rows that should not count, or give them the weight 0. A batch of three is "
            "(inputs, labels, weights); group several inputs, ((input_1, input_2), labels)."
        )
        check_range("The sample weights", weights, 0, inf, "numbers of at least 0", advice)
    return weights.detach().to(values).reshape(*rows, *[1] * (values.ndim - 1))
