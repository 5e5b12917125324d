"""Points that gather where the residual is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from perceptrain import PerceptrainError, TrainConfig, Trainer
from perceptrain_physics import Heat, RefinedPoints, ResidualRefinement
from perceptrain_physics.fitness import residual_size


def line(n: int) -> Tensor:
    return torch.rand(n, 1)


def peak(points: Tensor) -> Tensor:
    """A fitness that is large near 0.7."""
    return torch.exp(-(((points - 0.7) / 0.05) ** 2))


def test_rar_adds_the_worst_candidates() -> None:
    points = RefinedPoints(line, 20, "rar", add=3)
    before = points.features.clone()
    candidates = line(50)
    points.update(candidates, peak(candidates))
    assert torch.equal(points.features[:20], before)
    worst = peak(candidates)[:, 0].argsort(descending=True)[:3]
    assert torch.equal(points.features[20:].sort(0)[0], candidates[worst].sort(0)[0])
    assert len(points) == 23


@pytest.mark.parametrize(("k", "c"), [(1.0, 1.0), (2.0, 0.0), (0.5, 3.0)])
def test_rad_draws_by_its_density(k: float, c: float) -> None:
    """Few points of many candidates, so that drawing each once hardly shows."""
    points = RefinedPoints(line, 2000, "rad", k=k, c=c)
    candidates = line(200_000)
    points.update(candidates, peak(candidates))
    assert len(points) == 2000
    power = peak(candidates) ** k
    density = power / power.mean() + c
    near = (candidates - 0.7).abs() < 0.1
    expected = (density * near).sum() / density.sum()
    share = ((points.features - 0.7).abs() < 0.1).double().mean()
    assert share.item() == pytest.approx(expected.item(), abs=0.04)


def test_rar_d_adds_by_that_density() -> None:
    points = RefinedPoints(line, 5, "rar_d", add=100, k=2, c=0)
    candidates = line(10_000)
    points.update(candidates, peak(candidates))
    assert ((points.features[5:] - 0.7).abs() < 0.15).all()


def test_the_defaults_are_those_of_the_paper() -> None:
    assert [(p.k, p.c) for p in (RefinedPoints(line, 5, s) for s in ("rad", "rar_d"))] == [
        (1.0, 1.0),
        (2.0, 0.0),
    ]


@pytest.mark.parametrize("huge", [torch.inf, 1e200])
@pytest.mark.parametrize("strategy", ["rar", "rad", "rar_d"])
def test_a_fitness_beyond_measure_is_chosen_first(huge: float, strategy: str) -> None:
    points = RefinedPoints(line, 1, strategy, add=1, k=2, c=0)
    fitness = torch.full((30,), 1e-3, dtype=torch.float64)
    fitness[7] = huge
    candidates = line(30)
    points.update(candidates, fitness)
    assert points.features[-1].isfinite()
    if huge < torch.inf:
        assert points.features[-1] == candidates[7]


@pytest.mark.parametrize("fitness", [torch.zeros(30), torch.full((30, 1), torch.nan)])
def test_no_residual_at_all_is_no_error(fitness: Tensor) -> None:
    points = RefinedPoints(line, 20, c=0)
    candidates = line(30)
    points.update(candidates, fitness)
    assert len(points.features.unique()) == 20


def test_the_callback_moves_points_to_the_residual() -> None:
    problem = Heat()
    model = problem.pinn(hidden=[4])
    model.equations["pde"] = lambda points, network: peak(points[:, 1:]) * (network(points) + 5)
    points = RefinedPoints(problem.samplers["pde"], 200, k=2, c=0)
    refine = ResidualRefinement(points, "pde", candidates=2000, called_every=2)
    data = {"pde": points, **{name: problem.samplers[name](20) for name in ("initial", "boundary")}}
    config = TrainConfig(max_iter=2, verbose=False, batch_size=50, callbacks=[refine])
    seen: list[Tensor] = []
    forward = model.equations["pde"]
    model.equations["pde"] = lambda points, net: (
        seen.append(points.detach()),
        forward(points, net),
    )[1]
    model.train()
    model.nn.eval()
    Trainer(model, "adam", config).fit(data)
    assert ((points.features[:, 1] - 0.7).abs() < 0.1).all()
    last = torch.cat(seen[-4:])
    assert torch.equal(last.sort(0)[0], points.features.sort(0)[0])


@pytest.mark.parametrize("strategy", ["rar", "rad"])
@pytest.mark.filterwarnings("error")
def test_a_resumed_run_goes_on_with_the_points(tmp_path: Path, strategy: str) -> None:
    def run(folder: str, epochs: int, resume: bool = False) -> tuple[nn.Module, Tensor]:
        torch.manual_seed(2)
        problem = Heat()
        model = problem.pinn(hidden=[4])
        points = RefinedPoints(problem.samplers["pde"], 30, strategy, add=5)
        rest = {name: problem.samplers[name](20) for name in ("initial", "boundary")}
        config = TrainConfig(
            max_iter=epochs,
            seed=3,
            verbose=False,
            batch_size=16,
            root_folder=tmp_path / folder,
            checkpoint_every=1,
            callbacks=[ResidualRefinement(points, "pde", candidates=100)],
        )
        Trainer(model, "adam", config).fit({"pde": points, **rest}, resume=resume)
        return model, points.features

    whole, features = run("whole", 5)
    run("parts", 2)
    parts, again = run("parts", 5, resume=True)
    assert torch.equal(features, again)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_cannot_be_is_told() -> None:
    points = RefinedPoints(line, 5)
    for make, message in [
        (lambda: RefinedPoints(line, 5, "best"), "'rar', 'rad' or 'rar_d'"),
        (lambda: RefinedPoints(line, 0), "at least 1"),
        (lambda: RefinedPoints(line, "5"), "n_samples='5': expected a whole number"),
        (lambda: RefinedPoints(line, 5, k="1"), "k='1': expected a number"),
        (lambda: RefinedPoints(torch.rand, 5), r"returned a tensor of shape \(5,\) and dtype"),
        (lambda: RefinedPoints(lambda n: [[0.0]] * n, 5), "returned an object of type list"),
        (lambda: RefinedPoints(line(5), 5), "sample is a tensor of shape"),
        (lambda: ResidualRefinement(points, "pde", "9"), "candidates='9': expected a whole"),
        (lambda: points.update(line(9), torch.rand(())), r"expected \(9,\)"),
        (lambda: points.update(line(3), torch.rand(3)), "among 3 candidates"),
        (
            lambda: points.load_state_dict({"features": torch.rand(5, 2)}),
            "load a state of this problem",
        ),
        (lambda: ResidualRefinement(line, "pde"), "RefinedPoints"),  # type: ignore[arg-type]
        (lambda: ResidualRefinement(points, 3), "name of an equation"),  # type: ignore[arg-type]
        (lambda: ResidualRefinement(points, "x").fitness(line(2), nn.Linear(1, 1)), "'x' in Lin"),
    ]:
        with pytest.raises(PerceptrainError, match=message):
            make()


def test_a_wrapped_pinn_has_its_equations() -> None:
    problem = Heat()
    pinn = problem.pinn(hidden=[4])
    x = problem.box.inside(5)
    sizes = [residual_size("pde")(x, model) for model in (pinn, nn.DataParallel(pinn))]
    torch.testing.assert_close(*sizes)
