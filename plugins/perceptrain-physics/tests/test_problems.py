"""Every problem against its own solution."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, PerceptrainError, TrainConfig, Trainer, get_dataset, get_model
from perceptrain_core.cli.main import main
from perceptrain_physics import (
    Advection,
    AllenCahn,
    Box,
    Burgers,
    Heat,
    Helmholtz,
    KleinGordon,
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
from perceptrain_physics.problems.by_name import PROBLEMS

EACH = [
    Advection(),
    Advection(c=50.0),
    Burgers(),
    Burgers(nu=0.1),
    Heat(),
    Heat(a=0.02, k=3),
    Helmholtz(),
    Helmholtz(a=2, b=3, k=1.5),
    KleinGordon(),
    Kovasznay(),
    Kovasznay(re=10.0),
    LidDrivenCavity(),
    LidDrivenCavity(re=20.0),
    Oscillator(),
    Oscillator(damping=2.0, frequency=20.0, end=1.0),
    PeriodicBurgers(nu=0.05),
    Poisson(),
    Poisson(d=1, k=3),
    Poisson(d=4),
    VanDerPol(),
    Wave(),
    Wave(c=0.7),
]


class Exact(nn.Module):
    """The solution in the place of a network."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem

    def forward(self, x: Tensor) -> Tensor:
        return self.problem.exact(x)


def apart_from_the_start(name: str, problem: Problem, points: Tensor) -> Tensor:
    """Move points away from t = 0, where the reference of Burgers cannot be differentiated."""
    if isinstance(problem, Burgers | PeriodicBurgers) and name in {"pde", "boundary"}:
        points[:, 0] = points[:, 0].clamp_min(0.01)
    return points


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("problem", EACH, ids=lambda problem: type(problem).__name__)
def test_the_solution_solves_it(problem: Problem) -> None:
    model = PINN(Exact(problem), problem.equations)
    points = {
        name: apart_from_the_start(name, problem, sample(40))
        for name, sample in problem.samplers.items()
    }
    for name, residual in model(points).items():
        assert residual.shape[0] == len(points[name])
        assert residual.abs().max() < 1e-10, name
    assert problem.relative_l2(model, n=8) == 0.0


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("problem", EACH, ids=lambda problem: type(problem).__name__)
def test_nothing_else_does(problem: Problem) -> None:
    """A residual that is zero for anything would pass the test above."""
    solution = Exact(problem)
    model = PINN(Wrong(solution), problem.equations)
    points = {
        name: apart_from_the_start(name, problem, sample(40))
        for name, sample in problem.samplers.items()
    }
    for name, residual in model(points).items():
        assert (residual.abs().amax(0) > 1e-3).all(), name


class Wrong(nn.Module):
    """The solution and something else."""

    def __init__(self, solution: nn.Module) -> None:
        super().__init__()
        self.solution = solution

    def forward(self, x: Tensor) -> Tensor:
        return self.solution(x) + 0.1 * (2.7 * x + 1).cos().sum(1, keepdim=True)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_the_reference_of_burgers_is_that_of_a_spectral_method() -> None:
    problem, n, steps = Burgers(nu=0.1), 160, 2000
    x = torch.linspace(-1, 1, n + 1)[:-1]
    k = 2 * torch.pi * torch.fft.rfftfreq(n, 2 / n)
    resolved = k < 2 / 3 * k.max()  # of the square of u, which has frequencies beyond the grid's

    def slope(u: Tensor) -> Tensor:
        flux = 1j * k * resolved * torch.fft.rfft(u * u / 2)
        return torch.fft.irfft(-flux - problem.nu * k**2 * torch.fft.rfft(u), n=n)

    u, dt = -torch.sin(torch.pi * x), 0.5 / steps
    for _ in range(steps):
        first = slope(u)
        second = slope(u + dt / 2 * first)
        third = slope(u + dt / 2 * second)
        u = u + dt / 6 * (first + 2 * second + 2 * third + slope(u + dt * third))
    points = torch.stack([torch.full_like(x, 0.5), x], dim=1)
    torch.testing.assert_close(problem.exact(points)[:, 0], u, rtol=0, atol=1e-8)


def test_the_terms_of_a_condition_are_summed_as_in_the_paper() -> None:
    problem = Helmholtz()
    net = FFNN([2, 5, 1])
    points = problem.samplers["boundary"](64)
    assert points.shape == (256, 2)
    sides = [net(side).square().mean() for side in points.split(64)]
    residual = problem.equations["boundary"](points, net)
    torch.testing.assert_close(residual.square().mean(), torch.stack(sides).sum())


def test_the_error_is_relative() -> None:
    problem = Helmholtz()
    assert problem.relative_l2(lambda x: 1.1 * problem.exact(x)) == pytest.approx(0.1)
    assert problem.relative_l2(FFNN([2, 4, 1]).double()) > 0.5
    with pytest.raises(PerceptrainError, match=r"\(10000, 3\)"):
        problem.relative_l2(FFNN([2, 4, 3]))


def test_a_network_of_the_problem_sees_standardised_inputs() -> None:
    problem = Wave()
    model = problem.pinn("modified_mlp", hidden=[8, 8], activation_function="silu")
    assert model.nn.standardize.mean.tolist() == [0.5, 0.5]
    points = problem.box.inside(4000)
    torch.testing.assert_close(
        model.nn.standardize(points).std(0), torch.ones(2), atol=0.03, rtol=0
    )
    own = FFNN([2, 4, 1])
    assert problem.pinn(own).nn is own


@pytest.mark.parametrize("name", PROBLEMS)
def test_every_problem_trains_by_name(name: str) -> None:
    model = get_model("problem", problem=name, hidden=[8])
    loader = get_dataset(name, points=16, steps=3)
    config = TrainConfig(max_iter=2, verbose=False, callbacks=[RelativeL2(name, n=8)], seed=1)
    trainer = Trainer(model, "adam", config)
    trainer.fit(loader)
    first, second = trainer.history
    assert second["train_loss"] < first["train_loss"] * 2
    errors = get_problem(name).errors(model, n=8)
    assert errors == {error: second[error] for error in errors}
    assert "relative_l2" in errors


HARD = [
    Advection(hard=True),
    AllenCahn(hard=True),
    Burgers(hard=True),
    Heat(k=2, hard=True),
    Helmholtz(hard=True),
    KleinGordon(hard=True),
    KortewegDeVries(hard=True),
    Kovasznay(hard=True),
    KuramotoSivashinsky(hard=True),
    LidDrivenCavity(hard=True),
    Oscillator(hard=True),
    PeriodicBurgers(hard=True),
    Poisson(d=3, hard=True),
    VanDerPol(hard=True),
    Wave(hard=True),
]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("problem", HARD, ids=lambda problem: type(problem).__name__)
def test_any_hard_model_satisfies_the_conditions(problem: Problem) -> None:
    """With any network, and no condition but the equations is left to be trained."""
    model = problem.pinn(hidden=[8])
    built_in = {
        name: condition
        for name, condition in problem.conditions().items()
        if name in problem.built_in
    }
    assert built_in.keys() | model.equations.keys() == problem.conditions().keys()
    assert problem.loader(4).samplers.keys() == model.equations.keys()
    for name, condition in built_in.items():
        points = condition.sample(30).requires_grad_()
        if isinstance(problem, AllenCahn) and name == "boundary":
            points = points.detach().clamp_min(torch.tensor([0.01, -1]))  # the kink has diffused
        assert condition.residual(points, model.nn).abs().max() < 1e-8, name
    inside = problem.box.inside(500)
    assert (problem.distance(inside) > 0).all()
    # What is left to the network: finite, and not much larger than the solution.
    rest = (problem.exact(inside) - problem.value(inside)) / problem.distance(inside)
    assert rest.abs().median() < 50


@pytest.mark.parametrize("name", ["allen_cahn", "kovasznay"])
def test_a_hard_model_trains_by_name(name: str) -> None:
    model = get_model("problem", problem={"name": name, "hard": True}, hidden=[8])
    loader = get_dataset(name, points=16, steps=3, every=2, hard=True)
    trainer = Trainer(model, "adam", TrainConfig(max_iter=2, verbose=False, seed=1))
    trainer.fit(loader)
    assert trainer.history[0].keys() == {"train_loss", "train_pde"}


@pytest.mark.parametrize("problem", HARD, ids=lambda problem: type(problem).__name__)
def test_a_hard_model_sees_standardised_inputs(problem: Problem) -> None:
    inner = problem.pinn(hidden=[4]).nn.nn
    network = inner if problem.periods is None else inner.nn
    seen: list[Tensor] = []
    network.standardize.register_forward_hook(lambda module, args, out: seen.append(out))
    inner(problem.box.inside(4000))
    assert seen[0].mean(0).abs().max() < 0.1
    assert (seen[0].std(0) - 1).abs().max() < 0.05


def test_the_points_of_a_grid_are_equidistant() -> None:
    box = Box([0, 1], [1, 3])
    grid = box.inner_grid(3)
    assert grid[:3].tolist() == [[0.25, 1.5], [0.25, 2.0], [0.25, 2.5]]
    edge = box.edge_grid(3)
    assert edge.shape == (12, 2)
    assert edge[:3].tolist() == [[0.0, 1.0], [0.0, 2.0], [0.0, 3.0]]
    assert edge[9:].tolist() == [[0.0, 3.0], [0.5, 3.0], [1.0, 3.0]]
    assert Box([0], [1]).edge_grid(5).tolist() == [[0.0], [1.0]]
    assert grid.dtype == edge.dtype == torch.float32


def test_a_run_file_names_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.toml").write_text(
        """
        [model]
        name = "problem"
        problem = {name = "helmholtz", b = 2}
        network = "modified_mlp"
        hidden = [8, 8]

        [data]
        name = "helmholtz"
        b = 2
        points = 16
        steps = 5

        [train]
        max_iter = 2

        [[callbacks]]
        name = "relative_l2"
        problem = {name = "helmholtz", b = 2}
        """
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["perceptrain", "train", "run.toml"])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert "relative_l2" in (tmp_path / "runs" / "run" / "metrics.csv").read_text()


def test_a_wrapped_model_is_measured_as_it_is() -> None:
    problem = Heat()
    pinn = problem.pinn(hidden=[4])
    error = problem.relative_l2(pinn, 10)
    for wrapped in (nn.DataParallel(pinn), torch.compile(pinn, backend="eager")):
        assert problem.relative_l2(wrapped, 10) == error


def test_a_measurement_leaves_the_model_as_it_is() -> None:
    problem = Heat()
    network = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))
    problem.relative_l2(network, 10)
    assert network[1].num_batches_tracked == 0
    assert network.training
    assert problem.relative_l2(network, 10) == problem.relative_l2(network, 10)
