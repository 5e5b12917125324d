"""Updates of an inverse Hessian, compared with formulas written out in NumPy."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from perceptrain_core.optimizers.quasi_newton import (
    METHODS,
    coefficients,
    update_inverse_hessian,
)

Array = NDArray[np.float64]


def case(seed: int, size: int) -> tuple[Array, Array, Array]:
    """A positive definite matrix, a step, and a change of the gradient along which it curves."""
    random = np.random.default_rng(seed)
    square = random.normal(size=(size, size))
    step, change = random.normal(size=(2, size))
    if step @ change < 0:
        change = -change
    return square @ square.T + 0.1 * np.eye(size), step, change


def as_published(inverse: Array, s: Array, y: Array, method: str) -> Array:
    """Urban, Stefanou, Pons (2025), with the Hessian by inversion and rank-one terms one by one."""
    hessian, n = np.linalg.inv(inverse), len(s)
    ys, yhy = y @ s, y @ inverse @ y
    b, h = (s @ hessian @ s) / ys, yhy / ys
    if method == "bfgs":
        tau, phi = 1.0, 1.0
    elif method == "ssbfgs":
        tau, phi = min(1.0, 1 / b), 1.0
    else:
        a = b * h - 1
        c = np.sqrt(a / (a + 1))
        rho = min(1.0, h * (1 - c))
        theta = max((rho - 1) / a, min(1 / rho, (1 - b) / b))
        sigma = 1 + a * theta
        first = rho if method == "ssbroyden2" else min(1.0, 1 / b)
        power = sigma ** (1 / (1 - n))
        tau = min(first * power, sigma) if theta <= 0 else first * min(power, 1 / theta)
        phi = (1 - theta) / (1 + a * theta)
    hy = inverse @ y
    v = np.sqrt(yhy) * (s / ys - hy / yhy)
    reduced = inverse - np.outer(hy, hy) / yhy + phi * np.outer(v, v)
    return reduced / tau + np.outer(s, s) / ys


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(2, 9))
def test_is_the_published_update(method: str, seed: int, size: int) -> None:
    start, s, y = case(seed, size)
    inverse = torch.tensor(start)
    curvature = s @ np.linalg.inv(start) @ s
    tensors = torch.tensor(s), torch.tensor(y)
    assert update_inverse_hessian(inverse, *tensors, float(curvature), method)
    found, expected = inverse.numpy(), as_published(start, s, y, method)
    assert np.allclose(found, expected, rtol=1e-6, atol=1e-7 * np.abs(expected).max())
    # The secant equation, symmetry, and a positive definite matrix.
    assert np.allclose(found @ y, s, rtol=1e-6, atol=1e-7 * np.abs(expected).max())
    assert np.allclose(found, found.T, rtol=1e-14, atol=1e-16 * np.abs(found).max())
    assert np.linalg.eigvalsh(found)[0] > -1e-9 * np.abs(found).max()


def test_bfgs_is_its_product_form() -> None:
    start, s, y = case(3, 6)
    inverse = torch.tensor(start)
    update_inverse_hessian(inverse, torch.tensor(s), torch.tensor(y), 1.0, "bfgs")
    rho = 1 / (y @ s)
    left = np.eye(6) - rho * np.outer(s, y)
    expected = left @ start @ left.T + rho * np.outer(s, s)
    assert np.allclose(inverse.numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_an_exact_inverse_hessian_stays(method: str) -> None:
    """Then ``b h - 1`` is 0 but for rounding, and the formulas divide by it."""
    start, s, _ = case(5, 7)
    inverse, y = torch.tensor(start), np.linalg.solve(start, s)
    update_inverse_hessian(inverse, torch.tensor(s), torch.tensor(y), float(s @ y), method)
    assert np.allclose(inverse.numpy(), start, rtol=1e-5, atol=1e-7)


def test_an_indefinite_matrix_is_left_alone() -> None:
    inverse = -torch.eye(3, dtype=torch.float64)
    s = torch.ones(3, dtype=torch.float64)
    assert not update_inverse_hessian(inverse, s, s, 1.0)
    assert torch.equal(inverse, -torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("method", METHODS)
def test_a_quadratic_ends_after_as_many_exact_steps_as_unknowns(method: str) -> None:
    matrix, start, target = (torch.tensor(each) for each in case(7, 8))
    inverse, point = torch.eye(8, dtype=torch.float64), start
    sizes = []
    for _ in range(9):
        gradient = matrix @ (point - target)
        sizes.append(float(gradient.norm()))
        if sizes[-1] < 1e-12:
            break
        direction = -(inverse @ gradient)
        length = -float(gradient @ direction) / float(direction @ matrix @ direction)
        step = length * direction
        curvature = -length * float(gradient @ step)
        update_inverse_hessian(inverse, step, matrix @ step, curvature, method)
        point = point + step
    assert sizes[8] < 1e-8 * sizes[0]
    assert sizes[7] > 1e-4 * sizes[0]


class Sizes(TorchDispatchMode):
    """Records how many numbers the results of operations have, but for those in place."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and not func._schema.is_mutable:
            self.found.append(result.numel())
        return result


def test_no_second_matrix_is_created() -> None:
    n = 50
    inverse = torch.eye(n, dtype=torch.float64)
    s, y = torch.randn(2, n, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).abs()
    with Sizes() as sizes:
        update_inverse_hessian(inverse, s, y, float(s @ s))
    assert max(sizes.found) == 3 * n


@pytest.mark.parametrize("method", ["ssbroyden", "ssbroyden2"])
def test_coefficients_of_extreme_steps(method: str) -> None:
    tau, phi = coefficients(1e9, 1e9, 10, method)
    assert 0 < tau <= 1
    assert isfinite(phi)


def test_numbers_that_underflow_change_nothing() -> None:
    inverse = torch.eye(2, dtype=torch.float64)
    step = torch.tensor([1e-160, 0.0], dtype=torch.float64)
    assert not update_inverse_hessian(inverse, step, step, 0.0)
    assert torch.equal(inverse, torch.eye(2, dtype=torch.float64))
