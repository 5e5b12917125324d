"""The self-scaled Broyden method on problems with known solutions, and in a trainer."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import Tensor, nn

from perceptrain import get_optimizer, load_checkpoint, write_checkpoint
from perceptrain.errors import ConfigError, TrainingError
from perceptrain.optimizers import SSBroyden

from ..shared import same

METHODS = ["ssbroyden", "ssbroyden2", "ssbfgs", "bfgs"]
Loss = Callable[[Tensor], Tensor]


def rosenbrock(x: Tensor) -> Tensor:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def start(size: int = 5) -> nn.Parameter:
    return nn.Parameter(torch.linspace(0.2, 1.8, size, dtype=torch.float64))


class Closure:
    """A loss of parameters, with all values and points."""

    def __init__(self, loss: Loss, *params: nn.Parameter) -> None:
        self.loss, self.params = loss, params
        self.values: list[float] = []

    def __call__(self) -> Tensor:
        for parameter in self.params:
            parameter.grad = None
        loss = self.loss(torch.cat([p.reshape(-1) for p in self.params]))
        loss.backward()  # type: ignore[no-untyped-call]
        self.values.append(loss.item())
        return loss.detach()


def take(steps: int, optimizer: SSBroyden, closure: Closure) -> None:
    for _ in range(steps):
        optimizer.step(closure)


def state_of(optimizer: SSBroyden) -> dict[str, Any]:
    return next(iter(optimizer.state.values()))


@pytest.mark.parametrize("method", METHODS)
def test_rosenbrock(method: str) -> None:
    x = start()
    optimizer, closure = SSBroyden([x], method, tolerance_grad=1e-11), Closure(rosenbrock, x)
    for _ in range(6):
        optimizer.step(closure)
    assert torch.allclose(x, torch.ones(5, dtype=torch.float64), atol=1e-9)
    state = state_of(optimizer)
    assert state["evaluations"] == len(closure.values)
    assert 20 < state["iterations"] <= 120


def test_needs_about_as_many_evaluations_as_scipy() -> None:
    x = start()
    begin = x.detach().numpy().copy()
    problem = {"fun": optimize.rosen, "jac": optimize.rosen_der, "x0": begin}
    theirs = optimize.minimize(**problem, method="BFGS", options={"gtol": 1e-8})
    optimizer = SSBroyden([x], "bfgs", max_iter=200, tolerance_grad=1e-8)
    closure = Closure(rosenbrock, x)
    optimizer.step(closure)
    assert x.grad is not None
    assert x.grad.abs().max() <= 1e-8
    assert np.allclose(x.detach().numpy(), theirs.x, atol=1e-7)
    assert len(closure.values) < 1.3 * theirs.nfev


def test_each_step_satisfies_the_strong_wolfe_conditions() -> None:
    x = start()
    optimizer, closure = SSBroyden([x], max_iter=1), Closure(rosenbrock, x)
    points, losses, gradients = [], [], []
    for _ in range(30):
        points.append(x.detach().clone())
        losses.append(float(optimizer.step(closure)))
        x.grad = None
        rosenbrock(points[-1].requires_grad_()).backward()
        gradients.append(points[-1].grad)
    for i, (before, after) in enumerate(pairwise(points)):
        moved = (after - before).detach()
        slope, later = float(gradients[i] @ moved), float(gradients[i + 1] @ moved)
        assert losses[i + 1] <= losses[i] + 1e-4 * slope
        assert abs(later) <= 0.9 * abs(slope)


def test_a_step_is_as_many_of_fewer_iterations() -> None:
    """Between them the loss is evaluated once more, and nothing else is different."""
    x, y = start(), start()
    one, several = SSBroyden([x], max_iter=12), SSBroyden([y], max_iter=3)
    one.step(Closure(rosenbrock, x))
    closure = Closure(rosenbrock, y)
    for _ in range(4):
        several.step(closure)
    assert torch.equal(x, y)
    assert state_of(several)["evaluations"] == state_of(one)["evaluations"] + 3


def test_returns_the_loss_before_the_step() -> None:
    x = start()
    before = rosenbrock(x.detach())
    assert torch.equal(SSBroyden([x]).step(Closure(rosenbrock, x)), before)


def test_ends_at_the_tolerances() -> None:
    x, y = start(), start()
    SSBroyden([x], max_iter=500, tolerance_grad=1e-2).step(first := Closure(rosenbrock, x))
    SSBroyden([y], max_iter=500, tolerance_change=1e-2).step(second := Closure(rosenbrock, y))
    assert x.grad is not None
    assert 1e-7 < x.grad.abs().max() <= 1e-2
    assert len(first.values) < 100
    assert len(second.values) < 100


def test_groups_are_one_vector() -> None:
    whole = start(6)
    a, b = nn.Parameter(whole.detach()[:2].clone()), nn.Parameter(whole.detach()[2:].clone())
    frozen = nn.Parameter(torch.ones(3, dtype=torch.float64), requires_grad=False)
    SSBroyden([whole]).step(Closure(rosenbrock, whole))
    SSBroyden([{"params": [a, frozen]}, {"params": [b]}]).step(Closure(rosenbrock, a, b))
    assert torch.equal(torch.cat([a, b]), whole)


def test_a_group_with_other_options_is_refused() -> None:
    optimizer = SSBroyden([start()])
    with pytest.raises(TrainingError, match="another max_iter: pass the same options"):
        optimizer.add_param_group({"params": [start()], "max_iter": 3})
    assert len(optimizer.param_groups) == 1


def test_parameters_that_are_added_later_start_a_new_matrix() -> None:
    a, b = start(2), start(3)
    optimizer = SSBroyden([a])
    optimizer.step(Closure(rosenbrock, a))
    optimizer.add_param_group({"params": [b]})
    optimizer.step(Closure(rosenbrock, a, b))
    assert state_of(optimizer)["inverse_hessian"].shape == (5, 5)


def test_too_many_parameters() -> None:
    message = (
        r"matrix of 20,000 x 20,000 numbers for 20,000 parameters, 3\.2 GB in float64, and "
        r"max_parameters is 10,000: .* lbfgs"
    )
    with pytest.raises(TrainingError, match=message):
        SSBroyden([nn.Parameter(torch.zeros(20_000))])
    optimizer = SSBroyden([nn.Parameter(torch.zeros(9))], max_parameters=10)
    with pytest.raises(TrainingError, match="max_parameters is 10"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.zeros(2))]})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize(
    "option",
    [
        {"method": "dfp"},
        {"first_step": 0},
        {"max_iter": 0},
        {"max_evals": 1.5},
        {"tolerance_grad": -1},
        {"max_parameters": True},
        {"save_hessian": "no"},
    ],
    ids=str,
)
def test_options_that_cannot_be(option: dict[str, Any]) -> None:
    (name,) = option
    with pytest.raises(ConfigError, match=f"SSBroyden: {name}="):
        SSBroyden([start()], **option)


def test_several_dtypes_are_refused() -> None:
    a, b = start(), nn.Parameter(torch.zeros(2))
    with pytest.raises(TrainingError, match=r"float32 on cpu, torch.float64 on cpu"):
        SSBroyden([a, b]).step(lambda: torch.tensor(0.0))


def test_a_loss_that_is_infinite_far_away() -> None:
    """A barrier: beyond it the loss is NaN, and such a step is only too long."""

    def barrier(x: Tensor) -> Tensor:
        return -torch.log(1 - x.square().sum()) - 5 * x.sum()

    x = nn.Parameter(torch.zeros(3, dtype=torch.float64))
    optimizer, closure = SSBroyden([x], first_step=50.0), Closure(barrier, x)
    for _ in range(3):
        optimizer.step(closure)
    assert any(np.isnan(closure.values))
    assert x.isfinite().all()
    assert torch.allclose(x, x.mean())
    r = x[0].item()
    assert 2 * r / (1 - 3 * r * r) == pytest.approx(5)


def test_a_gradient_that_is_not_finite_is_a_step_too_long() -> None:
    def root(x: Tensor) -> Tensor:
        """Lower for negative numbers, where its gradient is NaN."""
        return torch.where(x > 0, (x.sqrt() - 0.5).square(), -0.1).sum()

    x = nn.Parameter(torch.tensor([0.7, 0.9], dtype=torch.float64))
    optimizer, closure = SSBroyden([x], first_step=9.0), Closure(root, x)
    optimizer.step(closure)
    assert min(closure.values) < -0.1
    assert torch.allclose(x, torch.full_like(x, 0.25))


def test_a_loss_that_is_not_finite_at_the_start_changes_nothing() -> None:
    x = start()
    optimizer = SSBroyden([x])
    assert optimizer.step(Closure(lambda x: x.sum() * float("nan"), x)).isnan()
    assert torch.equal(x, start())


def test_an_error_at_a_trial_leaves_the_last_accepted_point() -> None:
    x, y = start(), start()
    optimizer, twin = SSBroyden([x]), SSBroyden([y], max_iter=1)
    points = [y.detach().clone()]
    for _ in range(12):
        twin.step(Closure(rosenbrock, y))
        points.append(y.detach().clone())
    closure = Closure(rosenbrock, x)

    def failing() -> Tensor:
        if len(closure.values) == 15:
            raise KeyError("a trial")
        return closure()

    with pytest.raises(KeyError, match="a trial"):
        optimizer.step(failing)
    iterations = state_of(optimizer)["iterations"]
    assert iterations >= 3
    assert torch.equal(x, points[iterations])
    for _ in range(12 - iterations):
        optimizer.param_groups[0]["max_iter"] = 1
        optimizer.step(Closure(rosenbrock, x))
    assert torch.equal(x, points[-1])


def test_without_a_lower_loss_parameters_stay_and_one_warning_says_so() -> None:
    x = start()
    noise = iter(range(10_000))
    optimizer = SSBroyden([x])

    def rising(x: Tensor) -> Tensor:
        return x.sum() * 0 + x.square().sum() * 1e-3 + next(noise)

    closure = Closure(rising, x)
    with pytest.warns(UserWarning, match="no lower loss, not even along the gradient") as seen:
        take(2, optimizer, closure)
    assert len(seen) == 1
    assert seen[0].filename == __file__
    assert torch.equal(x, start())
    optimizer.step(Closure(rosenbrock, x))
    assert rosenbrock(x.detach()) < rosenbrock(start().detach())


def fitted(dtype: torch.dtype, optimizer_seen: list[SSBroyden]) -> float:
    """The loss of a small network that approximates a sine, after 600 iterations."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).to(dtype)
    x = torch.linspace(-1, 1, 50, dtype=dtype).unsqueeze(1)
    optimizer = SSBroyden(model.parameters())
    optimizer_seen.append(optimizer)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (model(x) - (3 * x).sin()).square().mean()
        loss.backward()
        return loss.detach()

    return min(float(optimizer.step(closure)) for _ in range(30))


@pytest.mark.slow
def test_float32_is_warned_of_once_and_stalls() -> None:
    made: list[SSBroyden] = []
    double = fitted(torch.float64, made)
    with pytest.warns(UserWarning, match="SSBroyden") as seen:
        single = fitted(torch.float32, made)
    assert ["trains parameters of" in str(each.message) for each in seen].count(True) == 1
    assert double < 0.1 * single
    assert state_of(made[1])["iterations"] < 300  # of 600: the line search fails


def test_state_resumes_bit_for_bit(tmp_path: Path) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.x = start()

    whole, resumed = Model(), Model()
    optimizer = SSBroyden(whole.parameters(), max_iter=4)
    for _ in range(3):
        optimizer.step(Closure(rosenbrock, whole.x))
    again = SSBroyden(resumed.parameters())
    load_checkpoint(write_checkpoint(tmp_path, whole, optimizer, 3), resumed, again)
    twin, other = copy.deepcopy((whole, optimizer))
    for model, each in [(whole, optimizer), (resumed, again), (twin, other)]:
        for _ in range(3):
            each.step(Closure(rosenbrock, model.x))
    assert same(whole, resumed)
    assert same(whole, twin)
    assert same(optimizer.state_dict(), again.state_dict())
    assert same(optimizer.state_dict(), other.state_dict())


def test_a_state_without_the_matrix() -> None:
    x, y = start(), start()
    optimizer = SSBroyden([x], save_hessian=False)
    optimizer.step(Closure(rosenbrock, x))
    saved = optimizer.state_dict()
    assert saved["state"][0].keys() == {"iterations", "evaluations"}
    assert "inverse_hessian" in state_of(optimizer)
    again = SSBroyden([y], save_hessian=False)
    with pytest.warns(UserWarning, match="starts anew after 20 iterations"):
        again.load_state_dict(saved)
    with torch.no_grad():
        y.copy_(x)
    again.step(Closure(rosenbrock, y))
    assert rosenbrock(y.detach()) < rosenbrock(x.detach())


def test_by_name() -> None:
    optimizer = get_optimizer({"name": "ssbroyden", "method": "bfgs"}, [start()])
    assert isinstance(optimizer, SSBroyden)
    assert optimizer.param_groups[0]["method"] == "bfgs"


def test_warns_once_of_a_gradient_that_is_not_finite() -> None:
    p = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    optimizer = SSBroyden([p])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = p.abs().sqrt().square().sum()
        loss.backward()
        return loss

    with pytest.warns(UserWarning, match="its gradient is not, so SSBroyden takes no step"):
        optimizer.step(closure)
    optimizer.step(closure)
    assert p.tolist() == [0, 0]
