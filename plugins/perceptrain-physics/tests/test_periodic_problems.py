"""Problems with a Fourier solution: it solves them, and is converged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor, nn

from perceptrain import PINN
from perceptrain_physics import (
    AllenCahn,
    KortewegDeVries,
    KuramotoSivashinsky,
    PeriodicProblem,
)
from perceptrain_physics.problems import allen_cahn, korteweg_de_vries, kuramoto_sivashinsky
from perceptrain_physics.problems.spectral import Resolution, Semilinear, SpectralSolution

EACH = [AllenCahn(), KortewegDeVries(), KuramotoSivashinsky()]
CHAOS = KuramotoSivashinsky(chaotic=True)


class Exact(nn.Module):
    def __init__(self, problem: PeriodicProblem) -> None:
        super().__init__()
        self.problem = problem

    def forward(self, x: Tensor) -> Tensor:
        return self.problem.exact(x)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("problem", EACH, ids=lambda problem: type(problem).__name__)
def test_the_solution_solves_it(problem: PeriodicProblem) -> None:
    model = PINN(Exact(problem), problem.equations)
    points = {name: sample(60) for name, sample in problem.samplers.items()}
    for name in ("pde", "boundary"):
        points[name][:, 0] = points[name][:, 0].clamp_min(0.02)
    found = {name: residual.abs().max().item() for name, residual in model(points).items()}
    assert found["initial"] < 1e-12
    assert found["pde"] < 1e-6  # terms as large as 1e4, whose highest derivatives are rounded
    assert found["boundary"] < 1e-6
    assert problem.relative_l2(model, n=8) == 0.0


Reference = Callable[[Resolution], SpectralSolution]
REGULAR, CHAOTIC = kuramoto_sivashinsky.REGULAR, kuramoto_sivashinsky.CHAOTIC
# A solution (None: that of the problem), the same with more modes and fewer steps, and how far
# apart they may be. The error is of order 4 at least: with a quarter of the steps it is 256 times
# that of the reference.
CONVERGED: dict[str, tuple[Reference, Resolution | None, Resolution, PeriodicProblem, float]] = {
    "allen_cahn": (
        allen_cahn.reference,
        None,
        Resolution(1536, 500),
        EACH[0],
        1e-9,
    ),
    "korteweg_de_vries": (
        lambda resolution: korteweg_de_vries.reference(0.022, resolution),
        None,
        Resolution(288, 2000, 1),
        EACH[1],
        1e-7,
    ),
    "kuramoto_sivashinsky": (
        lambda resolution: kuramoto_sivashinsky.reference(REGULAR, resolution),
        None,
        Resolution(96, 1000, 2),
        EACH[2],
        1e-7,
    ),
    # Both have fewer steps than the reference, 16, which alone would take a while.
    "chaos": (
        lambda resolution: kuramoto_sivashinsky.reference(CHAOTIC, resolution),
        Resolution(256, 1000, 2),
        Resolution(384, 1000, 1),
        CHAOS,
        2e-4,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CONVERGED)
def test_more_modes_and_fewer_steps_change_nothing(name: str) -> None:
    reference, resolution, other, problem, tolerance = CONVERGED[name]
    solution = problem.exact if resolution is None else reference(resolution)
    grid = problem.box.grid(40)
    grid[:, 0] = grid[:, 0].clamp_min(0.01)
    torch.testing.assert_close(reference(other)(grid), solution(grid), rtol=0, atol=tolerance)


@pytest.mark.parametrize("problem", EACH[1:], ids=lambda problem: type(problem).__name__)
def test_the_reference_is_that_of_a_solver_of_scipy(problem: PeriodicProblem) -> None:
    """Before the solution steepens, so that few points resolve it."""
    n, end = 64, 0.1
    left, right = problem.box.low[1], problem.box.high[1]
    x = torch.linspace(left, right, n + 1, dtype=torch.float64)[:-1]
    k = 2 * np.pi / (right - left) * np.fft.rfftfreq(n, 1 / n)
    if isinstance(problem, KortewegDeVries):
        linear, factor = 1j * problem.mu**2 * k**3, 1.0
    else:
        linear, factor = 0.5 * k**2 - 0.005 * k**4, 5.0

    def slope(t: float, u: np.ndarray) -> np.ndarray:
        parts = linear * np.fft.rfft(u) - factor / 2 * 1j * k * np.fft.rfft(u * u)
        return np.fft.irfft(parts, n=n)

    start = problem.start(x).numpy()
    solved = solve_ivp(slope, (0, end), start, method="LSODA", rtol=1e-10, atol=1e-11)
    points = torch.stack([torch.full_like(x, end), x], dim=1)
    found = torch.from_numpy(solved.y[:, -1:])
    torch.testing.assert_close(problem.exact(points), found, rtol=0, atol=1e-7)


def test_a_linear_equation_is_solved_exactly() -> None:
    equation = Semilinear(
        linear=lambda k: -0.1 * k**2,
        multiplier=lambda k: 0 * k,
        nonlinear=lambda u: u,
        start=lambda x: 3 + np.cos(2 * x) - np.sin(5 * x),
    )
    solution = SpectralSolution(equation, (0, 2 * np.pi), 2.0, Resolution(8, 200))
    points = torch.rand(50, 2, dtype=torch.float64) * torch.tensor([2.0, 20.0])
    t, x = points.split(1, dim=1)
    waves = (-0.4 * t).exp() * (2 * x).cos() - (-2.5 * t).exp() * (5 * x).sin()
    torch.testing.assert_close(solution(points), 3 + waves, rtol=0, atol=1e-12)
    assert solution(points[:0]).shape == (0, 1)


def test_the_kink_of_a_hard_model_diffuses() -> None:
    """The first factor of the network is t, so its residual without one stays finite."""
    problem = AllenCahn(hard=True)
    ends = torch.tensor([[1e-3, -1.0], [1e-3, 1.0]], dtype=torch.float64)
    model = PINN(Value(problem), {"pde": problem.residual})
    near = torch.tensor([[1e-3, 1.0 - 1e-4], [1e-3, -1.0 + 1e-4]], dtype=torch.float64)
    assert model({"pde": torch.cat([ends, near])})["pde"].abs().max() < 1
    late = torch.tensor([[0.0, 0.3], [0.5, 0.3]], dtype=torch.float64)
    start = problem.start(late[:, 1:])
    torch.testing.assert_close(problem.value(late), start, rtol=0, atol=1e-12)


class Value(nn.Module):
    def __init__(self, problem: AllenCahn) -> None:
        super().__init__()
        self.problem = problem

    def forward(self, x: Tensor) -> Tensor:
        return self.problem.value(x)
