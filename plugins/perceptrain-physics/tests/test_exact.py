"""The known solutions of the problems at points of any kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from perceptrain.errors import DataError, ShapeError
from perceptrain_physics import (
    Advection,
    AllenCahn,
    Burgers,
    Heat,
    Helmholtz,
    InverseBurgers,
    KleinGordon,
    KortewegDeVries,
    Kovasznay,
    KuramotoSivashinsky,
    LidDrivenCavity,
    Oscillator,
    PeriodicBurgers,
    Poisson,
    Problem,
    TimeWindow,
    VanDerPol,
    Wave,
)

EACH = [
    Advection(),
    AllenCahn(),
    Burgers(),
    Heat(),
    Helmholtz(),
    InverseBurgers(),
    KleinGordon(),
    KortewegDeVries(),
    Kovasznay(),
    KuramotoSivashinsky(),
    LidDrivenCavity(),
    Oscillator(),
    PeriodicBurgers(),
    Poisson(d=3),
    TimeWindow(Advection(), 0.0, 0.5),
    VanDerPol(),
    Wave(),
]

each = pytest.mark.parametrize("problem", EACH, ids=lambda problem: type(problem).__name__)


def inside(problem: Problem) -> Tensor:
    return problem.box.grid(3).double() * 0.9 + 0.05 * torch.tensor(problem.box.mean)


@pytest.mark.slow
@each
def test_at_whole_numbers_it_is_not_truncated(problem: Problem) -> None:
    whole = torch.ones(2, len(problem.box.low), dtype=torch.int64)
    found = problem.exact(whole)
    assert found.dtype is torch.float32
    torch.testing.assert_close(found, problem.exact(whole.float()), rtol=0, atol=0)
    expected = problem.exact(whole.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)


@each
def test_arrays_are_converted(problem: Problem) -> None:
    points = inside(problem)
    found = problem.exact(points.numpy())  # type: ignore[arg-type]
    torch.testing.assert_close(found, problem.exact(points), rtol=0, atol=0)


@each
def test_what_are_no_points_is_refused(problem: Problem) -> None:
    d = len(problem.box.low)
    with pytest.raises(ShapeError, match=rf"shape \({d + 1},\); expected \(N, {d}\)"):
        problem.exact(torch.rand(d + 1))
    with pytest.raises(ShapeError, match=rf"shape \(3, {d + 1}\); expected \(N, {d}\)"):
        problem.exact(torch.rand(3, d + 1))
    for wrong in ([[0.5] * d], "0.5", torch.ones(3, d) > 0, torch.ones(3, d) * 1j):
        with pytest.raises(DataError, match=rf"expected a tensor of floats of shape \(N, {d}\)"):
            problem.exact(wrong)  # type: ignore[arg-type]
    with pytest.raises(DataError):
        problem.exact(np.array([["a"] * d]))  # type: ignore[arg-type]


def test_the_advice_fits_the_shape() -> None:
    with pytest.raises(ShapeError, match=r"Use t.unsqueeze\(-1\)"):
        Oscillator().exact(torch.rand(5))
    with pytest.raises(ShapeError, match=r"Use point.unsqueeze\(0\)|point.unsqueeze\(0\)"):
        Heat().exact(torch.rand(2))
    with pytest.raises(ShapeError, match=r"torch.stack\(\[t, x\], dim=1\)"):
        Heat().exact(torch.rand(7))


@pytest.mark.parametrize(
    "problem",
    [
        AllenCahn(),
        Burgers(),
        InverseBurgers(),
        KortewegDeVries(),
        KuramotoSivashinsky(),
        PeriodicBurgers(),
        VanDerPol(),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_a_reference_is_not_extrapolated_in_time(problem: Problem) -> None:
    points = inside(problem)
    points[0, 0] = -0.5
    with pytest.raises(DataError, match=r"times from -0.5 to .*known from 0"):
        problem.exact(points)
    if not isinstance(problem, Burgers | PeriodicBurgers | InverseBurgers):
        points[0, 0] = problem.box.high[0] + 0.5
        with pytest.raises(DataError, match="known from 0 to"):
            problem.exact(points)


def test_the_formula_of_burgers_holds_at_all_later_times() -> None:
    late = Burgers(nu=0.1).exact(torch.tensor([[5.0, 0.5]], dtype=torch.float64))
    assert late.isfinite().all()
    # The slowest mode of the heat equation remains: u = -2 nu pi a sin(pi x) / (1 + ...).
    later = Burgers(nu=0.1).exact(torch.tensor([[6.0, 0.5]], dtype=torch.float64))
    assert (later / late).item() == pytest.approx(np.exp(-0.1 * np.pi**2), rel=1e-2)
