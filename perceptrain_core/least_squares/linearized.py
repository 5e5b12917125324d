"""A least-squares problem at one point: residuals, and their derivatives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from perceptrain_core.least_squares.buffers import Buffers
from perceptrain_core.least_squares.gram import lower_gram


class Linearized(ABC):
    """The residuals ``r`` at some parameters, and products with their Jacobian ``J``.

    Attributes:
        residuals: ``r``, shape ``(N,)``, multiplied by the roots of the scales of the loss.
        gradient: ``J^T r``, shape ``(P,)``: half the gradient of the loss.
        value: ``|r|^2``, the loss.
    """

    residuals: Tensor
    gradient: Tensor
    value: float

    @abstractmethod
    def times(self, step: Tensor) -> Tensor:
        """Return ``J u`` for ``u`` of shape ``(P,)``."""

    @abstractmethod
    def transposed_times(self, vector: Tensor) -> Tensor:
        """Return ``J^T v`` for ``v`` of shape ``(N,)``."""

    @abstractmethod
    def solve(self, residuals: Tensor, damping: float) -> Tensor | None:
        """Return the ``d`` that minimizes ``|J d + r|^2 + damping |d|^2``; None if that fails.

        Args:
            residuals: ``r``, shape ``(N,)``.
            damping: Above 0.
        """

    @abstractmethod
    def largest_square(self) -> float:
        """Return the largest diagonal element of ``J^T J``, or an estimate."""

    def predicted_reduction(self, step: Tensor) -> float:
        """Return ``|r|^2 - |r + J d|^2``, by how much a step would reduce a linear problem."""
        return float(-2 * self.gradient @ step - self.times(step).square().sum())


class LeastSquaresProblem(Protocol):
    """What `GaussNewton` minimizes, as a function of its parameters, which it changes."""

    @property
    def rows(self) -> int:
        """The number of residuals."""
        ...

    def dense(self) -> DenseLinearized:
        """Return the problem at the parameters at the start of the step, with its Jacobian."""
        ...

    def implicit(self, iterations: int, tolerance: float) -> ImplicitLinearized:
        """Return it without the Jacobian, see `ImplicitLinearized`."""
        ...

    def residuals(self) -> Tensor:
        """Return the residuals at the current parameters, shape ``(N,)``; NaN is allowed."""
        ...


class DenseLinearized(Linearized):
    """A problem whose Jacobian fits into memory, solved by Cholesky factorizations.

    The smaller of ``J^T J`` and ``J J^T`` is computed once, and factorized for each new damping.

    Args:
        residuals: ``r``, shape ``(N,)``.
        jacobian: ``J``, shape ``(N, P)``.
        buffers: Has the memory of the matrices; the problem is valid until another one uses it.

    Attributes:
        jacobian: As given.
    """

    def __init__(self, residuals: Tensor, jacobian: Tensor, buffers: Buffers | None = None) -> None:
        self.residuals, self.jacobian = residuals, jacobian
        self.gradient = residuals @ jacobian
        self.value = float(residuals.square().sum())
        self._buffers = Buffers() if buffers is None else buffers
        self._is_tall = jacobian.shape[0] >= jacobian.shape[1]
        self._factor: tuple[float, Tensor | None] | None = None

    def times(self, step: Tensor) -> Tensor:
        """Return ``J u``."""
        return self.jacobian @ step

    def transposed_times(self, vector: Tensor) -> Tensor:
        """Return ``J^T v``."""
        return vector @ self.jacobian

    def solve(self, residuals: Tensor, damping: float) -> Tensor | None:
        """Solve by Cholesky; None if the matrix is not positive definite up to rounding."""
        if self._factor is None or self._factor[0] != damping:
            self._factor = damping, self._factorized(damping)
        factor = self._factor[1]
        if factor is None:
            return None
        right = residuals
        if self._is_tall:
            right = self.gradient if residuals is self.residuals else residuals @ self.jacobian
        solution = torch.cholesky_solve(-right.unsqueeze(1), factor).squeeze(1)
        return solution if self._is_tall else solution @ self.jacobian

    def _factorized(self, damping: float) -> Tensor | None:
        gram, diagonal = self._gram
        torch.add(diagonal, damping, out=gram.diagonal())
        factor = self._buffers.get("factor", tuple(gram.shape), gram).mT
        info = torch.empty((), dtype=torch.int32, device=gram.device)
        torch.linalg.cholesky_ex(gram, out=(factor, info))
        return None if info else factor

    @cached_property
    def _gram(self) -> tuple[Tensor, Tensor]:
        """The lower triangle of the smaller product of the Jacobian, and its diagonal."""
        matrix = self.jacobian if self._is_tall else self.jacobian.T
        size = matrix.shape[1]
        gram = lower_gram(matrix, self._buffers.get("gram", (size, size), matrix))
        return gram, gram.diagonal().clone()

    def largest_square(self) -> float:
        """Return the largest diagonal element of ``J^T J``."""
        return float(torch.linalg.vector_norm(self.jacobian, dim=0).max()) ** 2


class ImplicitLinearized(Linearized):
    """A problem with too many parameters for a matrix, solved by conjugate gradients.

    Args:
        residuals: ``r``, shape ``(N,)``.
        products: Returns ``J u`` and ``J^T v``.
        iterations: The most iterations of a solution.
        tolerance: A solution ends when its residual is this small, relative to the right side.
    """

    def __init__(
        self, residuals: Tensor, products: JacobianProducts, iterations: int, tolerance: float
    ) -> None:
        self.residuals = residuals
        self._products, self._iterations, self._tolerance = products, iterations, tolerance
        self.gradient = products.transposed_times(residuals)
        self.value = float(residuals.square().sum())

    def times(self, step: Tensor) -> Tensor:
        """Return ``J u``."""
        return self._products.times(step)

    def transposed_times(self, vector: Tensor) -> Tensor:
        """Return ``J^T v``."""
        return self._products.transposed_times(vector)

    def solve(self, residuals: Tensor, damping: float) -> Tensor | None:
        """Solve by conjugate gradients on ``J^T J + damping``."""
        products = self._products
        right = -products.transposed_times(residuals)
        solution, rest = torch.zeros_like(right), right.clone()
        direction, square = rest.clone(), float(rest @ rest)
        target = self._tolerance**2 * square
        for _ in range(self._iterations):
            if not square > target:
                break
            image = products.times(direction)
            curvature = float(image @ image) + damping * float(direction @ direction)
            if not 0 < curvature < torch.inf:
                return None
            size = square / curvature
            solution.add_(direction, alpha=size)
            rest.sub_(products.transposed_times(image).add_(direction, alpha=damping), alpha=size)
            before, square = square, float(rest @ rest)
            direction.mul_(square / before).add_(rest)
        return solution

    def largest_square(self) -> float:
        """Return the curvature along the gradient, a lower bound of the largest eigenvalue."""
        square = float(self.gradient.square().sum())
        return float(self.times(self.gradient).square().sum()) / square if square else 0.0


class JacobianProducts(Protocol):
    """Products with a Jacobian."""

    def times(self, vector: Tensor) -> Tensor:
        """Return ``J u`` for ``u`` of shape ``(P,)``."""
        ...

    def transposed_times(self, vector: Tensor) -> Tensor:
        """Return ``J^T v`` for ``v`` of shape ``(N,)``."""
        ...
