"""Metrics of regression: errors, and the share of the variance that the model explains.

All are exact over the data set, whatever the batches: sums are in float64.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.metrics.support.moments import Moments
from perceptrain_core.tensors import describe


class RegressionMetric:
    """Base class: collects what all metrics of regression are computed from.

    Outputs and labels are tensors of the same shape ``(N, ...)``; a last dimension of 1 may be
    missing in one of them. Everything but the first dimension counts as columns. Sample weights are
    those of scikit-learn: one for each row, of at least 0.

    Raises:
        ShapeError: The shapes differ, or there is not one weight for each row.
        DataError: There are no labels, or they are not numbers; or a weight is negative.
    """

    higher_is_better: ClassVar[bool] = False
    takes_predictions: ClassVar[bool] = True

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self._errors: Moments | None = None
        self._targets: Moments | None = None
        self._absolute: Tensor | float = 0.0

    def update(self, preds: Any, target: Any, sample_weight: Any = None) -> None:
        """Add a batch, with a weight for each row or without."""
        outputs, labels = _columns(preds, target)
        weights = None if sample_weight is None else _weights(sample_weight, len(outputs))
        if not len(outputs) or (weights is not None and not bool(weights.any())):
            return
        errors = outputs - labels
        absolute = errors.abs() if weights is None else weights * errors.abs()
        self._absolute = self._absolute + absolute.sum(dim=0)
        self._errors = _sum(self._errors, Moments.of(errors, weights))
        self._targets = _sum(self._targets, Moments.of(labels, weights))

    def merge_state(self, other: RegressionMetric) -> None:
        """Add the batches that another metric of the same class has seen."""
        self._errors = _sum(self._errors, other._errors)
        self._targets = _sum(self._targets, other._targets)
        self._absolute = self._absolute + other._absolute

    def to(self, device: torch.device | str) -> RegressionMetric:
        """Move the sums to a device."""
        self._errors = None if self._errors is None else self._errors.to(device)
        self._targets = None if self._targets is None else self._targets.to(device)
        if isinstance(self._absolute, Tensor):
            self._absolute = self._absolute.to(device)
        return self

    def compute(self) -> Tensor:
        """Return the metric over all batches, averaged over the columns.

        Raises:
            DataError: There was no row.
        """
        if self._errors is None or self._targets is None:
            raise DataError(f"{type(self).__name__} has seen no rows, so it has no value.")
        return self.value(self._errors, self._targets, torch.as_tensor(self._absolute)).mean()

    def value(self, errors: Moments, targets: Moments, absolute: Tensor) -> Tensor:
        """Return the metric of each column; subclasses implement this.

        Args:
            errors: The moments of outputs minus labels.
            targets: The moments of the labels.
            absolute: The sum of absolute errors of each column.
        """
        raise NotImplementedError


class MAE(RegressionMetric):
    """Mean absolute error over all rows and columns."""

    def value(self, errors: Moments, targets: Moments, absolute: Tensor) -> Tensor:
        """Return the mean absolute error of each column."""
        return absolute / errors.weight


class MSE(RegressionMetric):
    """Mean squared error over all rows and columns."""

    def value(self, errors: Moments, targets: Moments, absolute: Tensor) -> Tensor:
        """Return the mean squared error of each column."""
        return errors.mean_square


class RMSE(RegressionMetric):
    """Root of the mean squared error over all rows and columns."""

    def compute(self) -> Tensor:
        """Return the root of the mean over rows and columns."""
        return super().compute().sqrt()

    def value(self, errors: Moments, targets: Moments, absolute: Tensor) -> Tensor:
        """Return the mean squared error of each column."""
        return errors.mean_square


class R2(RegressionMetric):
    """Coefficient of determination, averaged over the columns; NaN for fewer than two rows.

    A column whose labels are constant counts as 1 if it is predicted exactly, else as 0, as in
    scikit-learn.
    """

    higher_is_better = True

    def value(self, errors: Moments, targets: Moments, absolute: Tensor) -> Tensor:
        """Return the coefficient of determination of each column."""
        if errors.rows < 2:
            return torch.full_like(errors.mean, torch.nan)
        return _one_minus(errors.mean_square * errors.weight, targets.squares)


class ExplainedVariance(RegressionMetric):
    """Share of the variance of the labels that the outputs explain, averaged over the columns.

    Unlike ``r2`` it ignores a constant error. A column whose labels are constant counts as 1 if the
    error is constant too, else as 0, as in scikit-learn.
    """

    higher_is_better = True

    def value(self, errors: Moments, targets: Moments, absolute: Tensor) -> Tensor:
        """Return the explained variance of each column."""
        return _one_minus(errors.squares, targets.squares)


def _one_minus(part: Tensor, whole: Tensor) -> Tensor:
    constant = torch.where(part == 0, 1.0, 0.0).to(part)
    return torch.where(whole == 0, constant, 1 - part / whole)


def _sum(first: Moments | None, second: Moments | None) -> Moments | None:
    if first is None or second is None:
        return first or second
    return first + second


def _columns(outputs: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """Check outputs and labels, and return both as float64 of shape ``(N, D)``."""
    for name, tensor in {"The model's output is": outputs, "The labels are": labels}.items():
        if not isinstance(tensor, Tensor) or not tensor.ndim or tensor.is_complex():
            raise DataError(f"{name} {describe(tensor)}; expected a real tensor with a row each.")
    if _without_last_one(outputs) != _without_last_one(labels):
        raise ShapeError(
            f"The model's output has shape {tuple(outputs.shape)} and the labels have shape "
            f"{tuple(labels.shape)}; expected the same. Remove this metric if the outputs "
            "for this loss are not predictions; a loss of your own says which of several outputs "
            "are, with outputs_per_label or point_prediction."
        )
    return _as_columns(outputs), _as_columns(labels)


def _weights(weights: Any, rows: int) -> Tensor:
    """Check sample weights, and return them as float64 of shape ``(N, 1)``."""
    if not isinstance(weights, Tensor) or weights.is_complex():
        raise DataError(
            f"The sample weights are {describe(weights)}; expected a tensor with a number for each "
            "row."
        )
    if weights.shape not in ((rows,), (rows, 1)):
        raise ShapeError(
            f"The sample weights have shape {tuple(weights.shape)}; expected one weight for each "
            f"row, shape {(rows,)}."
        )
    if bool((weights < 0).any()):
        raise DataError(
            f"A sample weight is {weights.min().item():g}; expected numbers of at least 0."
        )
    return weights.reshape(rows, 1).double()


def _as_columns(tensor: Tensor) -> Tensor:
    return (tensor.flatten(1) if tensor.ndim > 1 else tensor.unsqueeze(-1)).double()


def _without_last_one(tensor: Tensor) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    return shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape
