"""Steps of an optimizer that needs the residuals of the loss, as Gauss-Newton does."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite, nan, sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import CheckpointError

from perceptrain_core.errors import LossContractError, NonFiniteLossError, TrainingError
from perceptrain_core.least_squares.buffers import Buffers
from perceptrain_core.least_squares.columns import Columns
from perceptrain_core.least_squares.jacobian import Products, fill_jacobian
from perceptrain_core.least_squares.linearized import (
    DenseLinearized,
    ImplicitLinearized,
    Linearized,
)
from perceptrain_core.least_squares.traced_model import TracedModel
from perceptrain_core.losses.support.squares import residuals_of
from perceptrain_core.optimizer_steps import needs_residuals
from perceptrain_core.tensors import detached
from perceptrain_core.training.contract import residual_checks
from perceptrain_core.training.contract.residual_reasons import wrong_gradient, wrong_jacobian
from perceptrain_core.training.steppers.base import StepOutcome, begin_step
from perceptrain_core.training.steppers.gradients import AdaptiveStepper
from perceptrain_core.training.steppers.pooling import term_shares
from perceptrain_core.types import LossFunction, Metrics, Residuals, SkipBatch, StepResult


@dataclass
class LeastSquaresStepper(AdaptiveStepper):
    """Take a step on the residuals of the loss, or along gradients if the optimizer needs those.

    The loss is evaluated once, and its residuals from the same outputs of the model. The rows of
    all batches of a step count as in one large batch. The first step, and the first with residuals
    of other names or shapes, compares the residuals and their Jacobian with the loss and its
    gradient.
    """

    _traced: TracedModel | None = field(default=None, init=False, repr=False)
    _direct: dict[Hashable, list[Tensor]] = field(default_factory=dict, init=False, repr=False)
    _checked: set[Hashable] = field(default_factory=set, init=False, repr=False)
    _buffers: Buffers = field(default_factory=Buffers, init=False, repr=False)

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
        columns = Columns(p for p in self._parameters() if p.requires_grad)
        if self._traced is None or self._traced.parameters != columns.places.keys():
            residual_checks.check_parameters(columns.parameters)
            residual_checks.check_modules(self.model)
            self._traced, self._direct = TracedModel(self.model, columns.parameters), {}
            self._checked.clear()
        problem = _Problem(self.loss_fn, self.model, self._traced, columns, self._buffers)
        results = [problem.add(self.moved(batch)) for batch in batches]
        if not problem.parts:
            return results, False
        kind = problem.kind()
        if kind not in self._direct:
            if not self._direct:
                residual_checks.warn_of_precision(columns.parameters)
            problem.check_values()
            self._direct[kind] = problem.untraced_parameters()
        problem.prepare(self._direct[kind], partial(self._inspect, problem, kind))
        try:
            self.optimizer.step(problem)
        except SkipBatch:
            return [None] * len(batches) if self.skip_nonfinite else results, False
        except CheckpointError as error:
            raise TrainingError(residual_checks.CHECKPOINTED) from error
        return results, True

    def _inspect(self, problem: _Problem, kind: Hashable, at: Linearized) -> None:
        """Check a problem before the optimizer uses it."""
        if self.measures_norm:
            self.grad_norm = 2 * torch.linalg.vector_norm(at.gradient)
        if not at.gradient.isfinite().all():
            ignores = not getattr(self.loss_fn, "watches", True)  # on_nonfinite="ignore"
            if self.skip_nonfinite or ignores:
                raise SkipBatch
            raise NonFiniteLossError(_no_direction(at.value))
        if kind not in self._checked:
            problem.check(at)
            self._checked.add(kind)


def _no_direction(loss: float) -> str:
    """Return the message for a gradient that is not finite."""
    if not isfinite(loss):
        return (
            f"The loss is {loss}, and a Gauss-Newton step needs a finite one. The parameters are "
            "as they were before. Check the data, and the equations at these points."
        )
    return (
        "The loss is finite, but its gradient is not: a residual is not differentiable "
        "where it is, such as sqrt at 0, or an input is infinite. Change the equation or the data, "
        'or use on_nonfinite="skip".'
    )


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
        loss_fn: The loss.
        model: The model.
        traced: The model, as it is evaluated at the start of the step.
        columns: The parameters.
        buffers: The memory of matrices.

    Attributes:
        parts: The batches that are not skipped.
        rows: The number of residuals, after `prepare`.
    """

    def __init__(
        self,
        loss_fn: LossFunction,
        model: nn.Module,
        traced: TracedModel,
        columns: Columns,
        buffers: Buffers,
    ) -> None:
        self._loss_fn, self._model, self._traced = loss_fn, model, traced
        self._columns, self._buffers = columns, buffers
        self._direct: list[Tensor] = []
        self._inspect: Callable[[Linearized], None] = _nothing
        self._values: list[tuple[Tensor, Tensor]] = []
        self._start = torch.empty(0)
        self.parts: list[_Part] = []
        self.rows = 0
        traced.clear()

    def add(self, batch: Any) -> StepResult | None:
        """Evaluate the loss and its residuals on a batch; return None if the loss skips it."""
        with self._traced.active():
            try:
                loss, metrics = self._loss_fn(batch, self._model)
            except SkipBatch:
                return None
            terms = residuals_of(self._loss_fn, batch, self._model)
        residual_checks.check_scales(terms)
        self.parts.append(_Part(batch, loss, metrics, terms))
        return loss.detach(), detached(metrics)

    def kind(self) -> Hashable:
        """Return what the way of differentiating the residuals depends on."""
        shapes = [tuple((n, v.shape) for n, (v, _) in part.terms.items()) for part in self.parts]
        return tuple(shapes), self._traced.number

    def prepare(self, direct: list[Tensor], inspect: Callable[[Linearized], None]) -> None:
        """Multiply the residuals by the roots of their scales, after all batches were added.

        Args:
            direct: The parameters that the residuals reach in ways that are not traced.
            inspect: Called with the linearized problem before the optimizer gets it.
        """
        self._direct, self._inspect = direct, inspect
        shares = term_shares([(part.metrics, part.batch, [*part.terms]) for part in self.parts])
        for part, share in zip(self.parts, shares, strict=True):
            for name, (values, scale) in part.terms.items():
                part.factors[name] = _root(scale * share[name], values)
                self._values.append((values, part.factors[name]))
        with torch.no_grad():
            self._start = torch.cat([(v * factor).reshape(-1) for v, factor in self._values])
        self.rows = len(self._start)

    def dense(self) -> DenseLinearized:
        """Return the problem at the start of the step, with its Jacobian."""
        residuals = self._start
        shape = self._columns.number, self.rows
        jacobian = self._buffers.get("jacobian", shape, residuals).zero_().T
        end = 0
        for values, factor in self._values:
            start, end = end, end + values.numel()
            block = jacobian[start:end]
            fill_jacobian(block, values, factor, self._traced, self._columns, self._direct)
        at = DenseLinearized(residuals, jacobian, self._buffers)
        self._finish(at)
        return at

    def implicit(self, iterations: int, tolerance: float) -> ImplicitLinearized:
        """Return the problem at the start of the step, without its Jacobian."""
        flat = torch.cat([values.reshape(-1) for values, _ in self._values])
        factor = torch.cat([factor.reshape(-1) for _, factor in self._values])
        products = Products(flat, factor, self._columns)
        at = ImplicitLinearized(self._start, products, iterations, tolerance)
        self._finish(at)
        return at

    def _finish(self, at: Linearized) -> None:
        self._inspect(at)
        self._values = []  # frees the graphs
        for part in self.parts:
            part.terms = {}

    def residuals(self) -> Tensor:
        """Return the residuals at the current parameters, with the scales of the step's start."""
        found = []
        for part in self.parts:
            try:
                terms = residuals_of(self._loss_fn, part.batch, self._model)
            except SkipBatch:
                return torch.full_like(self._start, nan)
            with torch.no_grad():
                found += [(v * part.factors[name]).reshape(-1) for name, (v, _) in terms.items()]
        return torch.cat(found)

    def untraced_parameters(self) -> list[Tensor]:
        """Return the parameters that the residuals depend on if traced layers are constants."""
        with self._traced.active(detach=True):
            terms = [residuals_of(self._loss_fn, part.batch, self._model) for part in self.parts]
        values = [v.sum() for each in terms for v, _ in each.values() if v.requires_grad]
        if not values:
            return []
        parameters = self._columns.parameters
        found = torch.autograd.grad(values, parameters, allow_unused=True)
        return [p for p, g in zip(parameters, found, strict=True) if g is not None]

    def check_values(self) -> None:
        """Compare the residuals with the losses."""
        for part in self.parts:
            residual_checks.check_value(part.loss, part.terms)
            residual_checks.check_graph(part.terms)

    def check(self, at: Linearized) -> None:
        """Compare the Jacobian with the untraced model, and gradients with those of the losses."""
        end = 0
        for part in self.parts:
            plain = residuals_of(self._loss_fn, part.batch, self._model)
            for name, (values, _) in plain.items():
                start, end = end, end + values.numel()
                scaled = values * part.factors[name]
                if not residual_checks.is_term(at, slice(start, end), scaled, self._columns):
                    raise TrainingError(wrong_jacobian(*self._reasons(part, name)))
            if not residual_checks.is_loss(part.loss, plain, at, self._columns):
                raise LossContractError(wrong_gradient(*self._reasons(part, next(iter(plain)))))
        if isinstance(at, ImplicitLinearized):
            residual_checks.check_products(at)

    def _reasons(self, part: _Part, name: str) -> tuple[str, nn.Module, Any, Columns]:
        def evaluate() -> Tensor:
            return residuals_of(self._loss_fn, part.batch, self._model)[name][0]

        return name, self._model, evaluate, self._columns


def _nothing(at: Linearized) -> None:
    pass


def _root(scale: Tensor | float, values: Tensor) -> Tensor:
    """Return the root of a scale, of the shape and dtype of the values."""
    if isinstance(scale, Tensor):
        return scale.to(values).sqrt().expand_as(values)
    return torch.full_like(values, sqrt(scale), requires_grad=False)
