"""Points drawn by the residual that the model has when they are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, PerceptrainError, TrainConfig, Trainer
from perceptrain.errors import DataError, ShapeError
from perceptrain_physics import AdaptiveSampler, FreshPoints, Heat


class Peak(nn.Module):
    """A network whose values are large near a center that training could move."""

    def __init__(self) -> None:
        super().__init__()
        self.center = nn.Parameter(torch.tensor(0.7))

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(-(((x - self.center) / 0.05) ** 2))


def line(n: int) -> Tensor:
    return torch.rand(n, 1)


def model() -> PINN:
    return PINN(Peak(), {"pde": lambda x, network: network(x)})


def test_rad_draws_by_its_density_at_the_current_model() -> None:
    pinn = model()
    sampler = AdaptiveSampler(line, pinn, "pde", k=1.0, c=1.0, candidates=400_000)
    for center in (0.7, 0.3):
        with torch.no_grad():
            pinn.nn.center.fill_(center)
        points = sampler(1000)
        assert points.shape == (1000, 1)
        share = ((points - center).abs() < 0.1).double().mean().item()
        # The peak has the width sqrt(pi) / 20, and a fifth of the uniform half is near it.
        assert share == pytest.approx(0.5 * 0.995 + 0.5 * 0.2, abs=0.05)
    assert pinn.nn.center.grad is None
    assert not points.requires_grad


def test_r3_retains_the_points_of_large_residual_and_draws_the_others_anew() -> None:
    pinn = model()
    sampler = AdaptiveSampler(line, pinn, "pde", "r3")
    first = sampler(1000)
    second = sampler(1000)
    size = pinn.nn(first).detach()
    retained = (size > size.mean())[:, 0]
    assert 100 < retained.sum() < 400
    assert torch.equal(second[retained], first[retained])
    assert not (second[~retained] == first[~retained]).any()
    for _ in range(20):
        last = sampler(1000)
    assert ((last - 0.7).abs() < 0.1).double().mean() > 0.5
    assert sampler(10).shape == (10, 1)


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["rad", "r3"])
@pytest.mark.parametrize("steps", [None, 2])
def test_a_resumed_run_goes_on_with_the_points(
    tmp_path: Path, strategy: str, steps: int | None
) -> None:
    def run(folder: str, epochs: int, resume: bool = False) -> nn.Module:
        torch.manual_seed(2)
        problem = Heat()
        pinn = problem.pinn(hidden=[4])
        samplers = problem.samplers
        samplers["pde"] = AdaptiveSampler(samplers["pde"], pinn, "pde", strategy, candidates=60)
        config = TrainConfig(
            max_iter=epochs,
            seed=3,
            verbose=False,
            root_folder=tmp_path / folder,
            checkpoint_every=1,
            dtype="float64",
        )
        loader = FreshPoints(samplers, 30, steps, every=3)
        Trainer(pinn, "adam", config).fit(loader, resume=resume)
        return pinn

    whole = run("whole", 8)
    run("parts", 4)
    parts = run("parts", 8, resume=True)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "rar"}, "'rad' or 'r3'"),
        ({"candidates": 0}, "at least 1"),
        ({"candidates": "9"}, "candidates='9': expected a whole number"),
        ({"k": -1.0}, "at least 0"),
        ({"k": "1"}, "k='1': expected a number"),
        ({"c": None}, "c=None: expected a number"),
    ],
)
def test_what_cannot_be_is_told(options: dict[str, object], message: str) -> None:
    with pytest.raises(PerceptrainError, match=message):
        AdaptiveSampler(line, model(), "pde", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((line, PINN, "pde"), "the class PINN; expected the model itself"),
        ((line, None, "pde"), "model is None; expected the model itself"),
        ((line, model(), "pd"), "fitness='pd': expected 'pde'. Did you mean 'pde'"),
        ((line, Peak(), "pde"), "an object of type Peak; expected a PINN"),
        ((line, model(), None), "expected the name of an equation"),
        ((line, model(), lambda points: points), "expected the name of an equation"),
        ((torch.rand(3, 1), model(), "pde"), "sample is a tensor of shape"),
    ],
)
def test_wrong_arguments_are_refused_before_the_first_draw(
    arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        AdaptiveSampler(*arguments)


def test_points_of_another_problem_are_refused() -> None:
    problem = Heat()
    for network in (FFNN([1, 4, 1]), nn.Sequential(nn.Linear(1, 1))):
        pinn = PINN(network, {"pde": lambda x, network: network(x)})
        sampler = AdaptiveSampler(problem.box.inside, pinn, "pde", candidates=20)
        with pytest.raises(ShapeError, match="is a function of 1 coordinate;") as e:
            sampler(5)
        assert "unsqueeze" not in str(e.value)


@pytest.mark.parametrize("strategy", ["rad", "r3"])
def test_a_sampler_that_draws_no_points_is_refused(strategy: str) -> None:
    for sample in (torch.rand, lambda n: line(n).numpy()):
        with pytest.raises(DataError, match=r"returned a .*; expected a tensor of n points"):
            AdaptiveSampler(sample, model(), "pde", strategy)(5)


def test_an_error_of_the_fitness_itself_is_kept() -> None:
    def fitness(points: Tensor, model: nn.Module) -> Tensor:
        raise ShapeError("mine")

    with pytest.raises(ShapeError, match="mine"):
        AdaptiveSampler(line, model(), fitness, candidates=20)(5)
