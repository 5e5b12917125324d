"""Losses that are sums of squares, and what they are sums of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from perceptrain_core.errors import LossContractError
from perceptrain_core.losses.support.batches import predict
from perceptrain_core.losses.support.options import check_reduction
from perceptrain_core.losses.support.outputs import unwrapped
from perceptrain_core.losses.support.residuals import pairs_of
from perceptrain_core.losses.support.sample_weights import row_weights
from perceptrain_core.losses.support.shapes import same_shape
from perceptrain_core.tensors import describe
from perceptrain_core.types import Residuals, TBatch


def squared_differences(batch: TBatch, model: nn.Module, reduction: str = "mean") -> Residuals:
    """Return the residuals of the mean squared error, see `LeastSquaresLoss`.

    Args:
        batch: As for `pointwise`.
        model: As for `pointwise`.
        reduction: "mean" or "sum".

    Returns:
        For a mapping of outputs, the difference of each from its labels, or from zero; for one
        tensor its difference from the labels, as "loss".
    """
    check_reduction(reduction)
    outputs, labels, weights = predict(batch, model)
    if isinstance(outputs, Mapping):
        pairs = pairs_of(outputs, labels)
        given = {name: out if labels is None else out - own for name, (out, own) in pairs.items()}
        return {
            name: (v, 1 / v.numel() if reduction == "mean" else 1.0) for name, v in given.items()
        }
    outputs, labels = same_shape(outputs, labels)
    values = outputs - labels
    if weights is None:
        return {"loss": (values, 1 / values.numel() if reduction == "mean" else 1.0)}
    factors = row_weights(weights, values)
    if reduction == "sum":
        return {"loss": (values, factors)}
    count = factors.expand_as(values).sum()
    return {"loss": (values, factors / count.where(count > 0, 1.0))}


def residuals_of(loss_fn: Any, batch: TBatch, model: nn.Module) -> Residuals:
    """Return the residuals of a loss.

    Args:
        loss_fn: A loss with ``residuals``, see `LeastSquaresLoss`; or one around it, as a trainer
            puts there.
        batch: A batch.
        model: The model.

    Raises:
        LossContractError: The loss is not a sum of squares, or its residuals have another form.
    """
    for loss, options in unwrapped(loss_fn):
        own = getattr(loss, "residuals", None)
        if own is not None:
            return checked_residuals(own(batch, model, **options), loss)
    raise LossContractError(no_squares(loss_fn))


def no_squares(loss_fn: Any, reason: str | None = None) -> str:
    """Return the message for a loss that is not a sum of squares."""
    inner = [loss for loss, _ in unwrapped(loss_fn)][-1]
    name = getattr(inner, "__name__", type(inner).__name__)
    reason = reason or (
        "has no residuals. Losses such as l1, huber and cross_entropy are not sums of squares"
    )
    return (
        f"A Gauss-Newton step needs a loss that is a sum of squares, and {name} {reason}. Use mse "
        "(with weights of terms, rows or points, if you like), give your own loss a method "
        "residuals(batch, model) -> {term: (values, scale)}, or use another optimizer, such as "
        "lbfgs."
    )


def checked_residuals(found: Any, loss: Any) -> Residuals:
    """Check the form of residuals.

    Raises:
        LossContractError: They have another form.
    """
    name = getattr(loss, "__name__", type(loss).__name__)
    if not isinstance(found, Mapping) or not found:
        raise LossContractError(
            f"residuals of {name} returned {describe(found)}; expected a dict "
            "{term: (values, scale)} with at least one term."
        )
    for term, pair in found.items():
        fits = isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], Tensor)
        if not fits or not _is_scale(pair[1]):
            raise LossContractError(
                f"residuals of {name} has {describe(pair)} for the term {term!r}; expected "
                "(values, scale): a tensor of values, and a number or a tensor of numbers of at "
                "least 0, without a graph."
            )
    return dict(found)


def _is_scale(scale: Any) -> bool:
    if isinstance(scale, Tensor):
        return not scale.requires_grad and not scale.is_complex()
    return isinstance(scale, int | float) and scale >= 0
