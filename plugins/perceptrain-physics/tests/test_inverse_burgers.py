"""The inverse problem: its observations, and coefficients that are found."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, PerceptrainError, TrainConfig, Trainer
from perceptrain_physics import Burgers, InverseBurgers, UnknownCoefficients


class Exact(nn.Module):
    """The solution and the coefficients, as a network returns them."""

    def __init__(self, problem: InverseBurgers, factor: float = 1.0) -> None:
        super().__init__()
        self.problem = problem
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        columns = [
            torch.full_like(x[:, :1], self.factor * value)
            for value in self.problem.coefficients.values()
        ]
        return torch.cat([self.problem.exact(x), *columns], dim=1)


@pytest.mark.usefixtures("float64")
def test_the_solution_solves_it() -> None:
    problem = InverseBurgers(nu=0.1, noise=0.0)
    points = {name: sample(50) for name, sample in problem.samplers.items()}
    points["pde"][:, 0] = points["pde"][:, 0].clamp_min(0.01)
    residuals = PINN(Exact(problem), problem.equations)(points)
    assert residuals["pde"].abs().max() < 1e-10
    assert residuals["data"].abs().max() < 1e-14
    wrong = PINN(Exact(problem, factor=1.1), problem.equations)(points)
    assert wrong["pde"].abs().max() > 1e-2
    assert problem.relative_l2(PINN(Exact(problem), problem.equations), n=8) == 0.0


def test_observations_have_the_noise_and_are_the_same_each_time() -> None:
    problem = InverseBurgers(observations=4000, noise=0.1)
    observed = problem.observed
    truth = Burgers().exact(observed[:, :2])
    errors = observed[:, 2:] - truth
    assert (errors.std() / truth.std()).item() == pytest.approx(0.1, rel=0.1)
    assert torch.equal(observed, InverseBurgers(observations=4000, noise=0.1).observed)
    assert not torch.equal(observed, InverseBurgers(observations=4000, seed=1, noise=0.1).observed)
    draw = problem.samplers["data"]
    few = draw(100)
    assert few.shape == (100, 3)
    assert len(few.unique(dim=0)) == 100
    rows = {tuple(row) for row in observed.float().tolist()}
    assert all(tuple(row) in rows for row in few.tolist())
    assert draw(10_000).shape == (4000, 3)


def test_the_errors_are_those_of_the_coefficients() -> None:
    problem = InverseBurgers(observations=10)
    model = problem.pinn(hidden=[4])
    errors = problem.errors(model, n=8)
    assert errors["convection_error"] == pytest.approx(0.5, rel=1e-6)
    assert errors["viscosity_error"] == pytest.approx(0.02 / (0.01 / torch.pi) - 1, rel=1e-5)
    assert errors["relative_l2"] == problem.relative_l2(model, n=8) > 0
    assert problem.errors(FFNN([2, 4, 1]), n=8).keys() == {"relative_l2"}


def test_training_finds_the_coefficients() -> None:
    """The solution is given, so that only the coefficients are trained."""
    problem = InverseBurgers(nu=0.05, noise=0.0, observations=10)
    network = problem.complete(Solution())
    model = PINN(network, problem.equations)
    points = {name: sample(100) for name, sample in problem.samplers.items()}
    points["pde"][:, 0] = points["pde"][:, 0].clamp_min(0.01)
    optimizer = {"name": "lbfgs", "line_search_fn": "strong_wolfe", "max_iter": 20}
    config = TrainConfig(max_iter=2, verbose=False, dtype="float64")
    Trainer(model, optimizer, config).fit([points])
    errors = problem.errors(model, n=8)
    assert errors["convection_error"] < 1e-4
    assert errors["viscosity_error"] < 1e-4
    again = deepcopy(model)
    with torch.no_grad():
        again.nn.logarithms.add_(1.0)
    assert problem.errors(again, n=8)["viscosity_error"] > 1


class Solution(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return Burgers(nu=0.05).exact(x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InverseBurgers(observations=0), "at least 2"),
        (lambda: InverseBurgers(noise=-1), "at least 0"),
        (lambda: UnknownCoefficients(FFNN([1, 2, 1]), {"k": 0.0}), "above 0"),
        (lambda: UnknownCoefficients(FFNN([1, 2, 1]), {}), "above 0"),
    ],
)
def test_what_cannot_be_is_told(make: object, message: str) -> None:
    with pytest.raises(PerceptrainError, match=message):
        make()  # type: ignore[operator]
