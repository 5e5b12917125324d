"""Windows of time, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from math import pi
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import PINN, TrainConfig, Trainer
from perceptrain.errors import ConfigError
from perceptrain_physics import Advection, AllenCahn, Heat, TimeWindow, march
from perceptrain_physics.problems.periodic_problem import PeriodicProblem


class Shifted(nn.Module):
    """The exact solution plus a number, so that each window's network can be told apart."""

    def __init__(self, problem: PeriodicProblem, shift: float) -> None:
        super().__init__()
        self.problem, self.shift = problem, shift

    def forward(self, points: Tensor) -> Tensor:
        return self.problem.exact(points) + self.shift


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("hard", [True, False])
def test_each_window_starts_from_the_end_of_the_one_before(hard: bool) -> None:
    problem = Advection(hard=hard)
    seen: list[TimeWindow] = []

    def train(window: TimeWindow) -> nn.Module:
        seen.append(window)
        return PINN(Shifted(problem, float(len(seen))), window.equations)

    solution = march(problem, 4, train)
    assert [each.box.low for each in seen] == [(t, 0) for t in (0, 0.25, 0.5, 0.75)]
    assert [each.box.high for each in seen] == [(t, 2 * pi) for t in (0.25, 0.5, 0.75, 1)]
    for before, window in enumerate(seen):
        start = window.box.face(0, window.box.low[0])(50)
        expected = problem.exact(start) + before
        torch.testing.assert_close(window.start(start[:, 1:]), expected)
        model = window.pinn(hidden=[4])
        if hard:
            assert list(model.equations) == ["pde"]
            torch.testing.assert_close(model.nn(start), expected)
        else:
            residual = model({"initial": start, **_others(window)})["initial"]
            torch.testing.assert_close(residual, model.nn(start) - expected)
    points = torch.tensor([[0.9, 1.0], [0.1, 1.0], [0.3, 2.0], [0.6, 3.0], [0.2, 4.0]])
    shifts = (solution(points) - problem.exact(points)).squeeze(1)
    torch.testing.assert_close(shifts, torch.tensor([4.0, 1.0, 2.0, 3.0, 1.0]))


def _others(window: TimeWindow) -> dict[str, Tensor]:
    return {name: sample(3) for name, sample in window.samplers.items() if name != "initial"}


@pytest.mark.usefixtures("float64")
def test_the_residual_at_the_start_of_a_window_is_that_of_its_profile() -> None:
    problem = Advection(hard=True)
    window = TimeWindow(problem, 0.5, 1.0, lambda x: (2 * x).sin())
    points = window.box.face(0, 0.5)(20).requires_grad_()
    model = window.pinn(hidden=[4])
    inner = (model.nn(points + torch.tensor([1e-6, 0.0])) - model.nn(points)) / 1e-6
    expected = inner + problem.c * 2 * (2 * points[:, 1:]).cos()
    torch.testing.assert_close(window.residual(points, model.nn), expected, rtol=1e-4, atol=1e-3)


def test_the_first_window_has_the_given_values_of_the_problem() -> None:
    problem = AllenCahn(hard=True)
    points = problem.box.inside(20)
    first = TimeWindow(problem, 0.0, 0.5)
    torch.testing.assert_close(first.value(points), problem.value(points), rtol=0, atol=0)
    later = TimeWindow(problem, 0.5, 1.0, torch.sin)
    torch.testing.assert_close(later.value(points), points[:, 1:].sin(), rtol=0, atol=0)


@pytest.mark.usefixtures("float64")
def test_windows_train() -> None:
    torch.manual_seed(0)
    problem = Advection(c=5.0, hard=True)

    def train(window: TimeWindow) -> nn.Module:
        model = window.pinn(hidden=[12])
        config = TrainConfig(max_iter=10, verbose=False, tracking_tool="none")
        loader = window.loader(100, steps=1, every=5)
        Trainer(model, "gauss_newton", config, loss_fn="mse").fit(loader)
        return model

    solution = march(problem, 2, train)
    error = problem.relative_l2(solution, n=20)
    assert error < 0.1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: march(Advection(), 0, _pinn), "windows=0: expected a whole number of at least 1"),
        (lambda: march(Advection(), 2.0, _pinn), "windows=2.0: expected a whole number"),
        (lambda: march(Advection(), 2, _pinn, modes="32"), "modes='32': expected a whole number"),
        (lambda: march(Heat(), 2, _pinn), "an object of type Heat; expected a PeriodicProblem"),
        (lambda: march(Advection, 2, _pinn), r"the class Advection; .* Create it: Advection\(\)"),
        (lambda: march("advection", 2, _pinn), "'advection'; expected a PeriodicProblem"),
        (lambda: TimeWindow(Heat(), 0.0, 1.0), "expected a PeriodicProblem"),
        (lambda: march(Advection(), 2, lambda window: None), "returned None; expected the trained"),
        (lambda: march(Advection(), 2, _pinn(Advection())), "expected a function train"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call()


def _pinn(window: PeriodicProblem) -> PINN:
    return window.pinn(hidden=[4])
