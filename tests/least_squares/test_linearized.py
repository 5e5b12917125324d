"""Solutions of damped linear least-squares problems against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from perceptrain_core.least_squares.linearized import (
    DenseLinearized,
    ImplicitLinearized,
)

from ..shared import MatrixProducts


def problem(rows: int, columns: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(rows, dtype=torch.float64, generator=generator),
        torch.randn(rows, columns, dtype=torch.float64, generator=generator),
    )


@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    seed=st.integers(0, 100),
    damping=st.floats(1e-3, 10),
)
def test_solves_the_damped_problem(rows: int, columns: int, seed: int, damping: float) -> None:
    r, jacobian = problem(rows, columns, seed)
    stacked = np.vstack([jacobian.numpy(), np.sqrt(damping) * np.eye(columns)])
    right = -np.concatenate([r.numpy(), np.zeros(columns)])
    expected = torch.from_numpy(np.linalg.lstsq(stacked, right, rcond=None)[0])
    dense = DenseLinearized(r, jacobian)
    implicit = ImplicitLinearized(r, MatrixProducts(jacobian), 500, 1e-12)
    for at in (dense, implicit):
        step = at.solve(r, damping)
        assert step is not None
        torch.testing.assert_close(step, expected, rtol=1e-7, atol=1e-8)
        torch.testing.assert_close(at.gradient, jacobian.T @ r)
        reduction = float(r.square().sum() - (r + jacobian @ step).square().sum())
        assert at.predicted_reduction(step) == pytest.approx(reduction, rel=1e-6, abs=1e-9)


def test_a_factorization_that_fails_is_no_step() -> None:
    jacobian = torch.tensor([[1e200, 1e200], [1e200, 1e200]], dtype=torch.float64)
    at = DenseLinearized(torch.ones(2, dtype=torch.float64), jacobian)
    assert at.solve(at.residuals, 1e-3) is None


def test_the_largest_square() -> None:
    r, jacobian = problem(7, 3, 1)
    assert DenseLinearized(r, jacobian).largest_square() == pytest.approx(
        float(torch.diagonal(jacobian.T @ jacobian).max())
    )
    largest = float(torch.linalg.eigvalsh(jacobian.T @ jacobian).max())
    estimate = ImplicitLinearized(r, MatrixProducts(jacobian), 5, 0.1).largest_square()
    assert 0 < estimate <= largest * (1 + 1e-12)
