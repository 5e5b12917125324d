"""Steps of Gauss-Newton methods against NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares
from torch import Tensor, nn

from perceptrain import get_optimizer
from perceptrain.errors import ConfigError, TrainingError
from perceptrain.optimizers import CombinedOptimizer, GaussNewton
from perceptrain_core.least_squares.linearized import (
    DenseLinearized,
    ImplicitLinearized,
)

from ..shared import MatrixProducts

Function = Callable[[Tensor], Tensor]


@dataclass
class Problem:
    """The squares of a function of one vector of parameters.

    Attributes:
        evaluations: How often the residuals were evaluated.
        factorizations: How often a system was solved.
    """

    function: Function
    theta: nn.Parameter
    evaluations: int = 0
    factorizations: int = 0

    @property
    def rows(self) -> int:
        return len(self.function(self.theta.detach()))

    def dense(self) -> DenseLinearized:
        return self._counted(DenseLinearized(*self._linearized()))

    def implicit(self, iterations: int, tolerance: float) -> ImplicitLinearized:
        residuals, jacobian = self._linearized()
        at = ImplicitLinearized(residuals, MatrixProducts(jacobian), iterations, tolerance)
        return self._counted(at)

    def _linearized(self) -> tuple[Tensor, Tensor]:
        theta = self.theta.detach()
        return self.function(theta), torch.func.jacrev(self.function)(theta)

    def _counted(self, at: Any) -> Any:
        solve = at.solve

        def counted(*arguments: Any) -> Tensor | None:
            self.factorizations += 1
            return solve(*arguments)

        at.solve = counted
        return at

    def residuals(self) -> Tensor:
        self.evaluations += 1
        return self.function(self.theta.detach())

    def value(self) -> float:
        return float(self.function(self.theta.detach()).square().sum())


def rosenbrock(p: Tensor) -> Tensor:
    return torch.stack([10 * (p[1] - p[0] ** 2), 1 - p[0]])


def powell(p: Tensor) -> Tensor:
    """Powell's singular function, whose Jacobian is singular at the minimum."""
    a, b, c, d = p
    return torch.stack([a + 10 * b, 5**0.5 * (c - d), (b - 2 * c) ** 2, 10**0.5 * (a - d) ** 2])


def helix(p: Tensor) -> Tensor:
    """The helical valley of Fletcher and Powell, in the half plane of its minimum."""
    x, y, z = p
    angle = torch.atan2(y, x) / (2 * torch.pi)
    return torch.stack([10 * (z - 10 * angle), 10 * (torch.hypot(x, y) - 1), z])


def misra(p: Tensor) -> Tensor:
    """An exponential that saturates, as in the dental research of Misra, on computed data."""
    x = torch.linspace(70, 760, 14, dtype=torch.float64)
    noise = 0.1 * torch.sin(7 * x)
    return p[0] * 100 * (1 - torch.exp(-p[1] * x / 1000)) - (
        240 * (1 - torch.exp(-0.00055 * x)) + noise
    )


def brown_dennis(p: Tensor) -> Tensor:
    """Residuals that are large at the minimum (More, Garbow, Hillstrom, problem 16)."""
    t = torch.arange(1, 21, dtype=torch.float64) / 5
    return (p[0] + t * p[1] - t.exp()) ** 2 + (p[2] + p[3] * t.sin() - t.cos()) ** 2


PROBLEMS: dict[str, tuple[Function, list[float]]] = {
    "rosenbrock": (rosenbrock, [-1.2, 1.0]),
    "powell": (powell, [3.0, -1.0, 0.0, 1.0]),
    "helix": (helix, [-1.0, 0.1, 0.0]),
    "misra": (misra, [5.0, 0.1]),
    "brown_dennis": (brown_dennis, [25.0, 5.0, -5.0, -1.0]),
}


def minimize(name: str, steps: int, **options: Any) -> tuple[Problem, Any]:
    function, start = PROBLEMS[name]
    theta = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    problem, optimizer = Problem(function, theta), GaussNewton([theta], **options)
    for _ in range(steps):
        optimizer.step(problem)
    return problem, optimizer


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:A Gauss-Newton step found no lower loss")  # at the minimum
@pytest.mark.parametrize("name", PROBLEMS)
def test_finds_the_minimum_that_scipy_finds(name: str) -> None:
    options = {"solver": "cg", "cg_tolerance": 1e-12} if name == "brown_dennis" else {}
    function, start = PROBLEMS[name]
    truth = least_squares(
        lambda p: function(torch.from_numpy(p)).numpy(), start, method="lm", xtol=1e-15, ftol=1e-15
    )
    problem, _ = minimize(name, 100, **options)
    assert problem.value() == pytest.approx(2 * truth.cost, rel=1e-9, abs=1e-18)
    close = 1e-4 if name == "powell" else 1e-6  # whose minimum is flat
    np.testing.assert_allclose(problem.theta.detach().numpy(), truth.x, rtol=close, atol=close)


def test_a_step_solves_the_damped_equations() -> None:
    function, start = PROBLEMS["brown_dennis"]
    theta = torch.tensor(start, dtype=torch.float64)
    jacobian, r = torch.func.jacrev(function)(theta).numpy(), function(theta).numpy()
    problem, optimizer = minimize("brown_dennis", 1, damping=0.01, acceleration=False)
    damping = 0.01 * (jacobian**2).sum(0).max()
    step = np.linalg.solve(jacobian.T @ jacobian + damping * np.eye(4), -jacobian.T @ r)
    np.testing.assert_allclose(problem.theta.detach().numpy(), theta.numpy() + step, rtol=1e-12)
    gain = (r @ r - problem.value()) / (r @ r - np.sum((r + jacobian @ step) ** 2))
    expected = damping * max(1 / 3, 1 - (2 * gain - 1) ** 3)
    (state,) = optimizer.state.values()
    assert state["damping"] == pytest.approx(expected, rel=1e-10)


def test_a_step_follows_the_second_derivatives_of_residuals() -> None:
    """Finite differences are exact here, because the residuals are quadratic."""
    function, start = PROBLEMS["brown_dennis"]
    theta = torch.tensor(start, dtype=torch.float64)
    jacobian, r = torch.func.jacrev(function)(theta), function(theta)
    matrix = jacobian.T @ jacobian
    matrix += matrix.diagonal().max() * torch.eye(4)
    step = torch.linalg.solve(matrix, -jacobian.T @ r)
    second = torch.func.jacrev(torch.func.jacrev(function))(theta)
    bend = torch.einsum("nij,i,j->n", second, step, step)
    acceleration = torch.linalg.solve(matrix, -jacobian.T @ bend)
    problem, _ = minimize("brown_dennis", 1, damping=1.0)
    torch.testing.assert_close(problem.theta.detach(), theta + step + acceleration / 2)
    assert problem.evaluations == 2


def test_an_acceleration_that_is_too_long_or_nan_is_left_out() -> None:
    for bend in (1e9, float("nan")):
        theta = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
        problem = Problem(lambda p: 2 * p, theta)
        ahead = [torch.tensor([0.0]), torch.tensor([bend])]
        problem.residuals = ahead.pop  # type: ignore[method-assign]
        GaussNewton([theta], damping=1.0).step(problem)
        assert theta.item() == pytest.approx(0.5)


def linear_in_two_units(p: Tensor) -> Tensor:
    """A line whose slope is in units that are 1e9 times those of its height."""
    x = torch.linspace(0, 1, 9, dtype=torch.float64)
    return p[0] + 1e9 * p[1] * x - (3 + 2 * x)


def test_a_parameter_with_small_derivatives_is_not_held_by_the_damping() -> None:
    """The damping falls below the rounding of the largest derivatives."""
    theta = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    problem, optimizer = Problem(linear_in_two_units, theta), GaussNewton([theta])
    for _ in range(60):
        optimizer.step(problem)
    assert theta.tolist() == pytest.approx([3.0, 2e-9], rel=1e-6, abs=0)


def test_a_rejected_step_costs_a_factorization_and_a_value() -> None:
    """The full step of the square of atan at 5 overshoots by far."""
    theta = nn.Parameter(torch.tensor([5.0], dtype=torch.float64))
    problem = Problem(torch.atan, theta)
    optimizer = GaussNewton([theta], damping=1e-8, acceleration=False)
    optimizer.step(problem)
    assert problem.evaluations == problem.factorizations > 1
    assert abs(theta.item()) < 5


def test_parameters_stay_where_no_step_reduces_the_loss() -> None:
    theta = nn.Parameter(torch.tensor([0.3], dtype=torch.float64))
    problem = Problem(lambda p: p.square() + 1, theta)
    worse = [7.0, inf, float("nan")] * 4
    problem.residuals = lambda: torch.tensor([worse.pop()])  # type: ignore[method-assign]
    optimizer = GaussNewton([theta], acceleration=False)
    with pytest.warns(UserWarning, match="found no lower loss, so the parameters stay"):
        optimizer.step(problem)
    assert theta.item() == 0.3
    assert len(worse) == 2
    (state,) = optimizer.state.values()
    assert state["damping"] == pytest.approx(10 * 1e-3 * 0.36)


@pytest.mark.parametrize("method", ["lm", "engd", "spring"])
def test_warns_once_of_steps_that_reduce_nothing(method: Any) -> None:
    theta = nn.Parameter(torch.tensor([0.3], dtype=torch.float64))
    problem = Problem(lambda p: p + 1, theta)
    problem.residuals = lambda: torch.tensor([inf])  # type: ignore[method-assign]
    optimizer = GaussNewton([theta], method)
    with pytest.warns(UserWarning, match="found no lower loss"):
        optimizer.step(problem)
    optimizer.step(problem)  # in silence: warnings are errors


def test_a_minimum_is_no_reason_for_a_warning() -> None:
    theta = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    problem, optimizer = Problem(linear, theta), GaussNewton([theta])
    for _ in range(60):
        optimizer.step(problem)


def test_spring_goes_on_when_parameters_are_frozen() -> None:
    """Those that are still trained keep their momentum."""
    start = torch.tensor([[25.0, 5.0], [-5.0, -1.0]], dtype=torch.float64)
    one, two = map(nn.Parameter, start)
    optimizer = GaussNewton([one, two], "spring", damping=1e-4)

    class Both(Problem):
        def _linearized(self) -> tuple[Tensor, Tensor]:
            r = brown_dennis(torch.cat([one, two]))
            lines = [torch.autograd.grad(v, optimizer.trained, retain_graph=True) for v in r]
            return r.detach(), torch.stack([torch.cat(line) for line in lines])

        def residuals(self) -> Tensor:
            return brown_dennis(torch.cat([one, two]).detach())

        def value(self) -> float:
            return float(self.residuals().square().sum())

        @property
        def rows(self) -> int:
            return 20

    problem = Both(brown_dennis, one)
    values = [problem.value()]
    for frozen in (False, True, True, False):
        one.requires_grad_(not frozen)
        before = one.detach().clone()
        optimizer.step(problem)
        assert torch.equal(before, one) is frozen
        assert (optimizer.state[one].keys() == {"momentum"}) is not frozen
        values.append(problem.value())
    assert values == sorted(values, reverse=True)


def test_parameters_are_restored_if_the_loss_raises() -> None:
    theta = nn.Parameter(torch.tensor([0.3], dtype=torch.float64))
    problem = Problem(lambda p: p + 1, theta)

    def fail() -> Tensor:
        raise KeyboardInterrupt

    problem.residuals = fail  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        GaussNewton([theta]).step(problem)
    assert theta.item() == 0.3


def linear(p: Tensor) -> Tensor:
    """A line through points, with two equal columns, so that the solution is not unique."""
    x = torch.linspace(0, 1, 6, dtype=torch.float64)
    return torch.stack([x, x, torch.ones_like(x)], 1) @ p - x.exp()


def test_engd_takes_the_shortest_solution() -> None:
    theta = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    problem, optimizer = Problem(linear, theta), GaussNewton([theta], "engd")
    optimizer.step(problem)
    jacobian = torch.func.jacrev(linear)(torch.zeros(3, dtype=torch.float64))
    right = torch.linspace(0, 1, 6, dtype=torch.float64).exp()
    expected = torch.linalg.pinv(jacobian) @ right
    torch.testing.assert_close(theta.detach(), expected)
    assert theta[0].item() == pytest.approx(theta[1].item())


def test_a_line_search_takes_the_best_of_31_lengths() -> None:
    theta = nn.Parameter(torch.tensor([5.0], dtype=torch.float64))
    problem, optimizer = Problem(torch.atan, theta), GaussNewton([theta], "engd")
    full = -torch.atan(theta.detach()) * (1 + theta.detach() ** 2)
    candidates = [theta.detach() + 2.0**-k * full for k in range(31)]
    optimizer.step(problem)
    best = min(candidates, key=lambda p: abs(float(p.atan())))
    torch.testing.assert_close(theta.detach(), best)


def test_spring_adds_momentum() -> None:
    """Two steps against the formula of arXiv 2401.10190, in the space of residuals."""
    theta = nn.Parameter(torch.tensor([25.0, 5.0, -5.0, -1.0], dtype=torch.float64))
    problem = Problem(brown_dennis, theta)
    optimizer = GaussNewton([theta], "spring", damping=1e-4, momentum=0.5)
    at, before = theta.detach().numpy().copy(), np.zeros(4)
    for _ in range(2):
        p = torch.from_numpy(at)
        jacobian, r = torch.func.jacrev(brown_dennis)(p).numpy(), brown_dennis(p).numpy()
        damping = 1e-4 * (jacobian**2).sum(0).max()
        kernel = jacobian @ jacobian.T + damping * np.eye(len(r))
        shifted = r + jacobian @ (0.5 * before)
        step = 0.5 * before - jacobian.T @ np.linalg.solve(kernel, shifted)
        lengths = [2.0**-k for k in range(31)]
        values = [
            float(brown_dennis(torch.from_numpy(at + k * step)).square().sum()) for k in lengths
        ]
        before = lengths[int(np.argmin(values))] * step
        at = at + before
        optimizer.step(problem)
        np.testing.assert_allclose(theta.detach().numpy(), at, rtol=1e-8)


def test_the_solver_follows_from_the_sizes() -> None:
    parameters = [nn.Parameter(torch.zeros(50)), nn.Parameter(torch.zeros(9), requires_grad=False)]
    assert GaussNewton(parameters, max_parameters=50).is_dense(100)
    assert not GaussNewton(parameters, max_parameters=49).is_dense(100)
    assert not GaussNewton(parameters).is_dense(2**28)
    assert GaussNewton(parameters, solver="cholesky").is_dense(2**28)
    assert not GaussNewton(parameters, solver="cg").is_dense(1)
    assert GaussNewton(parameters, "engd").is_dense(2**28)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "lma"}, "method='lma': expected 'lm', 'engd' or 'spring'"),
        ({"solver": "qr"}, "solver='qr': expected 'auto', 'cholesky' or 'cg'"),
        ({"damping": 0.0}, "damping=0.0: expected a number above 0"),
        ({"momentum": 1.0}, "momentum=1.0: expected a number of at least 0 and below 1"),
        ({"max_trials": 0}, "max_trials=0: expected a whole number of at least 1"),
        ({"rcond": 0}, "rcond=0: expected a number above 0 and below 1"),
        ({"cg_tolerance": 2}, "cg_tolerance=2: expected"),
        ({"method": "engd", "solver": "cg"}, "needs the Jacobian"),
    ],
)
def test_refuses_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GaussNewton([nn.Parameter(torch.zeros(1))], **options)


def test_refuses_groups_and_closures() -> None:
    one, two = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    with pytest.raises(TrainingError, match="one group of parameters only"):
        GaussNewton([{"params": [one]}, {"params": [two]}])
    with pytest.raises(TrainingError, match="expected a LeastSquaresProblem"):
        GaussNewton([one]).step(lambda: 1.0)  # type: ignore[arg-type]
    with pytest.raises(TrainingError, match=r"got no argument.*default_optimize_step"):
        GaussNewton([one]).step()


def test_has_all_parameters_or_none() -> None:
    one, two = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    with pytest.raises(TrainingError, match="GaussNewton evaluates the loss several times"):
        CombinedOptimizer({"adam": torch.optim.Adam([one]), "gauss_newton": GaussNewton([two])})


def test_has_a_name() -> None:
    model = nn.Linear(2, 1)
    optimizer = get_optimizer({"name": "gauss_newton", "method": "spring"}, model.parameters())
    assert isinstance(optimizer, GaussNewton)
    assert optimizer.param_groups[0]["method"] == "spring"
