"""Steps of an optimizer that needs the residuals of the loss, as Gauss-Newton does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import nan, sqrt
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.errors import NonFiniteLossError
from perceptrain_core.least_squares.jacobian import Columns, Products, fill_jacobian
from perceptrain_core.least_squares.linearized import (
    DenseLinearized,
    ImplicitLinearized,
    Linearized,
)
from perceptrain_core.least_squares.traced_model import TracedModel
from perceptrain_core.losses.support.squares import residuals_of
from perceptrain_core.tensors import detached
from perceptrain_core.training.contract import residual_checks
from perceptrain_core.training.steppers.base import StepOutcome, begin_step
from perceptrain_core.training.steppers.gradients import AdaptiveStepper
from perceptrain_core.training.steppers.pooling import term_shares
from perceptrain_core.types import Metrics, Residuals, SkipBatch, StepResult


def needs_residuals(optimizer: Any) -> bool:
    """Whether the next step of an optimizer needs the residuals of the loss."""
    return bool(getattr(optimizer, "needs_residuals", False))


def may_need_residuals(optimizer: Any) -> bool:
    """Whether an optimizer needs the residuals of the loss now, or may need them later."""
    return hasattr(optimizer, "needs_residuals")


@dataclass
class LeastSquaresStepper(AdaptiveStepper):
    """Take a step on the residuals of the loss, or along gradients if the optimizer needs those.

    The loss is evaluated once, and its residuals from the same outputs of the model. The rows of
    all batches of a step count as in one large batch. The first step compares the residuals and
    their Jacobian with the loss and its gradient.
    """

    _traced: TracedModel | None = field(default=None, init=False, repr=False)
    _direct: list[Tensor] = field(default_factory=list, init=False, repr=False)

    def take(self, batches: Sequence[Any]) -> StepOutcome:
        """Evaluate the residuals, and let the optimizer step.

        Raises:
            LossContractError: The loss is not a sum of squares, or its residuals disagree with it.
            TrainingError: Rows of the residuals depend on each other, or on chance.
            NonFiniteLossError: The gradient is NaN or infinite, and is not to be skipped.
        """
        if not needs_residuals(self.optimizer):
            return super().take(batches)
        begin_step(self.loss_fn)
        is_first = self._traced is None
        problem = _Problem(self, self._model_to_trace())
        results = [problem.add(self.moved(batch)) for batch in batches]
        if not problem.parts:
            return results, False
        if is_first:
            residual_checks.warn_of_precision(self.optimizer.trained)
            self._direct = problem.untraced_parameters()
        at = problem.start(self._direct, checks=is_first)
        if not at.gradient.isfinite().all():
            if self.skip_nonfinite:
                return [None] * len(batches), False
            raise NonFiniteLossError(
                "The loss is finite, but its gradient is not: a residual is not differentiable "
                'where it is, such as sqrt at 0. Change the equation, or use on_nonfinite="skip".'
            )
        if self.measures_norm:
            self.grad_norm = 2 * torch.linalg.vector_norm(at.gradient)
        self.optimizer.step(problem)
        return results, True

    def _model_to_trace(self) -> TracedModel:
        parameters = self.optimizer.trained
        if self._traced is None:
            residual_checks.check_modules(self.model)
            self._traced = TracedModel(self.model, parameters)
        return self._traced


@dataclass
class _Part:
    """A batch, its loss and metrics, and its residuals."""

    batch: Any
    loss: Tensor
    metrics: Metrics
    terms: Residuals
    factors: dict[str, Tensor] = field(default_factory=dict)


class _Problem:
    """The least-squares problem of one step, a function of the parameters.

    Args:
        stepper: The stepper, whose loss and model are evaluated.
        traced: The model.

    Attributes:
        parts: The batches that are not skipped.
    """

    def __init__(self, stepper: LeastSquaresStepper, traced: TracedModel) -> None:
        self._loss_fn, self._model, self._traced = stepper.loss_fn, stepper.model, traced
        self._optimizer = stepper.optimizer
        self._columns = Columns(stepper.optimizer.trained)
        self._start: Linearized | None = None
        self.parts: list[_Part] = []
        traced.clear()

    def add(self, batch: Any) -> StepResult | None:
        """Evaluate the loss and its residuals on a batch; return None if the loss skips it."""
        with self._traced.active():
            try:
                loss, metrics = self._loss_fn(batch, self._model)
            except SkipBatch:
                return None
            terms = residuals_of(self._loss_fn, batch, self._model)
        self.parts.append(_Part(batch, loss, metrics, terms))
        return loss.detach(), detached(metrics)

    def start(self, direct: list[Tensor], checks: bool) -> Linearized:
        """Linearize the problem at the parameters where it was evaluated.

        Args:
            direct: The parameters that the residuals reach in ways that are not traced.
            checks: Whether to compare the result with the loss.
        """
        self._set_factors()
        if checks:
            for part in self.parts:
                residual_checks.check_value(part.loss, part.terms)
        values = [
            (v, part.factors[name]) for part in self.parts for name, (v, _) in part.terms.items()
        ]
        with torch.no_grad():
            residuals = torch.cat([(v * factor).reshape(-1) for v, factor in values])
        if self._optimizer.is_dense(len(residuals)):
            self._start = self._dense(values, residuals, direct)
        else:
            self._start = self._implicit(values, residuals)
        if checks:
            self._check_gradients(self._start)
        for part in self.parts:
            part.terms = {}  # frees the graphs
        return self._start

    def linearized(self) -> Linearized:
        """Return what `start` computed; the parameters have not changed since."""
        assert self._start is not None
        return self._start

    def value(self) -> float:
        """Return the loss at the current parameters, with the weights of the start of the step."""
        total = 0.0
        try:
            for part in self.parts:
                terms = residuals_of(self._loss_fn, part.batch, self._model)
                with torch.no_grad():
                    for name, (values, _) in terms.items():
                        total += float((values * part.factors[name]).square().sum())
        except SkipBatch:
            return nan
        return total

    def untraced_parameters(self) -> list[Tensor]:
        """Return the parameters that the residuals depend on if traced layers are constants."""
        parameters = self._columns.parameters
        with self._traced.active(detach=True):
            terms = [residuals_of(self._loss_fn, part.batch, self._model) for part in self.parts]
        values = [v.sum() for each in terms for v, _ in each.values() if v.requires_grad]
        if not values:
            return []
        found = torch.autograd.grad(values, parameters, allow_unused=True)
        return [p for p, g in zip(parameters, found, strict=True) if g is not None]

    def _set_factors(self) -> None:
        """Set the roots of the scales, of the shape of the values."""
        shares = term_shares([(part.metrics, part.batch, [*part.terms]) for part in self.parts])
        for part, share in zip(self.parts, shares, strict=True):
            for name, (values, scale) in part.terms.items():
                part.factors[name] = _root(scale * share[name], values)

    def _dense(
        self, values: list[tuple[Tensor, Tensor]], residuals: Tensor, direct: list[Tensor]
    ) -> DenseLinearized:
        jacobian = residuals.new_zeros(len(residuals), self._columns.number)
        end = 0
        for value, factor in values:
            start, end = end, end + value.numel()
            fill_jacobian(jacobian[start:end], value, factor, self._traced, self._columns, direct)
        return DenseLinearized(residuals, jacobian)

    def _implicit(
        self, values: list[tuple[Tensor, Tensor]], residuals: Tensor
    ) -> ImplicitLinearized:
        group = self._optimizer.param_groups[0]
        flat = torch.cat([v.reshape(-1) for v, _ in values])
        factor = torch.cat([f.reshape(-1) for _, f in values])
        products = Products(flat, factor, self._columns)
        options = group["cg_iterations"], group["cg_tolerance"]
        return ImplicitLinearized(residuals, products, *options)

    def _check_gradients(self, at: Linearized) -> None:
        """Compare the gradient of each term with that of the untraced model."""
        end = 0
        for part in self.parts:
            plain = residuals_of(self._loss_fn, part.batch, self._model)
            for name, (values, _) in plain.items():
                start, end = end, end + values.numel()
                term = (values * part.factors[name]).square().sum()
                expected = residual_checks.gradient(term, self._columns)
                residual_checks.check_term(name, at, slice(start, end), expected)
        if len(self.parts) == 1:
            loss = self.parts[0].loss
            residual_checks.check_loss(at, residual_checks.gradient(loss, self._columns))


def _root(scale: Tensor | float, values: Tensor) -> Tensor:
    """Return the root of a scale, of the shape and dtype of the values."""
    if isinstance(scale, Tensor):
        return scale.to(values).sqrt().expand_as(values)
    return torch.full_like(values, sqrt(scale), requires_grad=False)
