"""What problems refuse: options, networks and models that do not fit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, PerceptrainError, get_dataset
from perceptrain.errors import ShapeError
from perceptrain_physics import (
    Advection,
    Box,
    Burgers,
    Heat,
    Helmholtz,
    InverseBurgers,
    KortewegDeVries,
    Kovasznay,
    KuramotoSivashinsky,
    LidDrivenCavity,
    Oscillator,
    PeriodicBurgers,
    Poisson,
    Problem,
    RelativeL2,
    VanDerPol,
    Wave,
    get_problem,
)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: get_problem("helmholz"), "expected 'advection'"),
        (lambda: get_problem({"name": "heat", "b": 2}), "'b'"),
        (lambda: Burgers(nu=1e-3), "at least 0.003"),
        (lambda: Oscillator(damping=4.0), "less than the frequency"),
        (lambda: Poisson(d=0), "above 0"),
        (lambda: Poisson(d="2"), "d='2'; expected whole numbers above 0"),
        (lambda: Poisson(k=float("inf")), "k=inf; expected whole numbers above 0"),
        (lambda: Poisson(k=0.5), r"k=0\.5; expected whole numbers above 0"),
        (lambda: Heat(k=1.5), r"k=1\.5; expected whole numbers above 0"),
        (lambda: Helmholtz(a=1.5, b=0), r"a=1\.5, b=0; expected whole numbers above 0"),
        (lambda: get_problem(["heat"]), "expected 'advection'"),
        (lambda: get_problem("burgers", mu=0.1), r"option 'mu'\. It accepts: nu, hard\."),
        (lambda: get_problem({"name": "burgers", "mu": 0.1}), "It accepts: nu, hard"),
        (lambda: get_problem("burgers", nu="0.1"), "Burgers: nu='0.1': expected a number of at"),
        (lambda: get_problem(Heat(), k=2), "k: expected no options, because the problem, Heat,"),
        (lambda: get_dataset("burgers", mu=0.1), "'mu'.* It accepts: nu, hard"),
        (lambda: get_dataset("burgers", nu="x"), "nu='x': expected a number"),
        (lambda: Advection(c="x"), "Advection: c='x': expected a number"),
        (lambda: Burgers(nu="x"), "Burgers: nu='x': expected a number of at least 0.003"),
        (lambda: Burgers(nu=float("inf")), "nu=inf: expected a number"),
        (lambda: Burgers(hard="no"), "Burgers: hard='no': expected True or False"),
        (lambda: Heat(a="x"), "Heat: a='x': expected a number"),
        (lambda: Heat(a=float("nan")), "Heat: a=nan: expected a number"),
        (lambda: Heat(k="1"), "k='1'; expected whole numbers above 0"),
        (lambda: Helmholtz(k="1"), "Helmholtz: k='1': expected a number"),
        (lambda: InverseBurgers(nu="x"), "InverseBurgers: nu='x': expected a number"),
        (lambda: InverseBurgers(observations="9"), "observations='9': expected a whole number"),
        (lambda: InverseBurgers(noise="1"), "noise='1': expected a number of at least 0"),
        (lambda: InverseBurgers(seed="1"), "seed='1': expected a whole number"),
        (lambda: KortewegDeVries(mu="x"), "mu='x': expected a number of at least 0.022"),
        (lambda: Kovasznay(re="x"), "Kovasznay: re='x': expected a number above 0"),
        (lambda: KuramotoSivashinsky(chaotic="no"), "chaotic='no': expected True or False"),
        (lambda: LidDrivenCavity(re="x"), "LidDrivenCavity: re='x': expected a number above 0"),
        (lambda: Oscillator(damping="x"), "damping='x': expected a number of at least 0"),
        (lambda: Oscillator(end=0.0), "Oscillator: end=0.0: expected a number above 0"),
        (lambda: PeriodicBurgers(nu="x"), "PeriodicBurgers: nu='x': expected a number"),
        (lambda: VanDerPol(mu="x"), "VanDerPol: mu='x': expected a number of at least 1 and"),
        (lambda: VanDerPol(end="x"), "VanDerPol: end='x': expected a number above 0"),
        (lambda: Wave(c="x"), "Wave: c='x': expected a number"),
        (lambda: Heat().pinn("mlp", hidden=8), "hidden=8: expected a list"),
        (lambda: Heat().pinn("mlp", hidden="8"), "hidden='8': expected a list"),
        (lambda: Heat().pinn(FFNN([2, 4, 1]), activation_function="relu"), "expected no options"),
        (lambda: RelativeL2("heat", n="9"), "n='9': expected a whole number of at least 2"),
        (lambda: RelativeL2("heat", n=1), "n=1: expected a whole number of at least 2"),
        (lambda: Heat().relative_l2(FFNN([2, 1]), n=0), "n=0: expected a whole number of at"),
        (lambda: Heat().relative_l2(FFNN([2, 1]), n="9"), "n='9': expected a whole number of at"),
        (lambda: Heat().relative_l2(lambda x: [0.0]), "returned an object of type list; expected"),
        (lambda: InverseBurgers().relative_l2(lambda x: None), "returned None; expected a tensor"),
        (lambda: Heat().relative_l2("m"), "model is 'm'; expected the model itself"),
        (lambda: Heat().relative_l2(FFNN), "the class FFNN; expected the model itself"),
        (lambda: KortewegDeVries(mu=0.01), "at least 0.022"),
        (lambda: Kovasznay(re=0), "above 0"),
        (lambda: LidDrivenCavity(re=-1), "above 0"),
        (lambda: VanDerPol(mu=0.5), "at least 1 and at most 100"),
        (lambda: Custom(hard=True).pinn(), "Custom has no hard model"),
        (lambda: Box([0, 0], [1]), "each coordinate"),
        (lambda: Box([0, 1], [1, 1]), "below the upper"),
    ],
)
def test_what_cannot_be_is_told(make: object, message: str) -> None:
    with pytest.raises(PerceptrainError, match=message):
        make()  # type: ignore[operator]


class Custom(Heat):
    """A problem without a hard model."""

    distance = Problem.distance


class Solution(nn.Module):
    """A network without parameters."""

    def forward(self, x: Tensor) -> Tensor:
        return Heat().exact(x)


@pytest.mark.parametrize("network", [FFNN([1, 4, 1]), nn.Sequential(nn.Linear(1, 1))])
def test_a_model_of_another_problem_is_refused(network: nn.Module) -> None:
    expected = r"function of 1 coordinate, and Helmholtz has 2 coordinates \(x, y\)"
    for model in (network, PINN(network, {"pde": lambda x, u: u(x)})):
        with pytest.raises(ShapeError, match=expected) as error:
            Helmholtz().relative_l2(model, n=5)
        assert "unsqueeze" not in str(error.value)


def test_an_error_of_the_model_itself_is_kept() -> None:
    def model(points: Tensor) -> Tensor:
        raise ShapeError("mine")

    with pytest.raises(ShapeError, match="mine"):
        Helmholtz().relative_l2(model, n=5)


@pytest.mark.parametrize(
    ("problem", "network", "message"),
    [
        (Heat(), FFNN([3, 4, 1]), r"3 inputs, and Heat has 2 coordinates \(t, x\). .* MLP\(\[2,"),
        (Heat(), FFNN([1, 4, 1]), "The network has 1 input, and Heat has 2"),
        (Heat(), nn.Sequential(nn.Linear(3, 1)), "The network has 3 inputs"),
        (Heat(), FFNN([2, 4, 2]), r"2 outputs, and Heat has 1; .* MLP\(\[2, 50, 50, 1\]\)"),
        (Kovasznay(), FFNN([2, 4, 1]), "1 output, and Kovasznay has 3"),
        (Heat(hard=True), FFNN([3, 4, 1]), "The network has 3 inputs"),
        (Heat(hard=True), FFNN([2, 4, 2]), "The network has 2 outputs"),
        (Advection(hard=True), FFNN([2, 4, 1]), "becomes two inputs. Expected .* with 3 inputs"),
        (InverseBurgers(), FFNN([1, 4, 1]), "The network has 1 input"),
    ],
)
def test_a_network_of_other_sizes_is_refused(
    problem: Problem, network: nn.Module, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        problem.pinn(network)


def test_networks_of_the_right_sizes_are_accepted_unchanged() -> None:
    torch.manual_seed(0)
    following = torch.rand(3)
    for problem, network in [
        (Heat(), FFNN([2, 4, 1])),
        (Heat(), FFNN([2, 4, 1]).double()),
        (Heat(hard=True), nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))),
        (Advection(hard=True), FFNN([3, 4, 1])),
        (Kovasznay(), FFNN([2, 4, 3])),
        (Heat(), Solution()),
    ]:
        before = {name: value.clone() for name, value in network.state_dict().items()}
        torch.manual_seed(0)
        problem.pinn(network)
        if not problem.hard:
            assert torch.equal(torch.rand(3), following)  # no random number was drawn
        assert network.training
        for name, value in network.state_dict().items():
            assert torch.equal(value, before[name])


def test_problems_are_made_by_name_with_options() -> None:
    for problem in (
        get_problem("heat", a=0.2, k=3),
        get_problem({"name": "heat", "a": 0.2, "k": 3}),
        get_problem({"name": "heat", "a": 0.5}, a=0.2, k=3),
    ):
        assert isinstance(problem, Heat)
        assert (problem.a, problem.k) == (0.2, 3)
    assert get_problem(problem) is problem
    assert Poisson(d=2.0).box.low == (0.0, 0.0)  # type: ignore[arg-type]
