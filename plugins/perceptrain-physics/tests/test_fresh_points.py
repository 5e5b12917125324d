"""Fresh points: reproducible, and the same after a resume."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from perceptrain import PerceptrainError, TrainConfig, Trainer
from perceptrain.callbacks import SaveCheckpoint
from perceptrain_physics import FreshPoints, Heat


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 4, 7])
@pytest.mark.parametrize("steps", [None, 1, 5])
def test_a_resumed_run_trains_on_the_points_of_one_that_was_not_stopped(
    tmp_path: Path, steps: int | None, every: int
) -> None:
    def run(folder: str, epochs: int, resume: bool = False) -> torch.nn.Module:
        torch.manual_seed(4)
        problem = Heat()
        model = problem.pinn(hidden=[8])
        config = TrainConfig(
            max_iter=epochs,
            seed=7,
            verbose=False,
            root_folder=tmp_path / folder,
            checkpoint_every=1,
        )
        Trainer(model, "adam", config).fit(problem.loader(16, steps, every), resume=resume)
        return model

    whole = run("whole", 6)
    run("parts", 3)
    parts = run("parts", 6, resume=True)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_run_that_stops_inside_an_epoch_resumes_with_its_points(tmp_path: Path) -> None:
    def run(folder: str, steps: int | None, resume: bool = False) -> torch.nn.Module:
        torch.manual_seed(4)
        problem = Heat()
        model = problem.pinn(hidden=[8])
        config = TrainConfig(
            max_iter=3,
            max_steps=steps,
            seed=7,
            verbose=False,
            root_folder=tmp_path / folder,
            callbacks=[SaveCheckpoint("train_batch_end", 1)],
        )
        Trainer(model, "adam", config).fit(problem.loader(16, 5, every=4), resume=resume)
        return model

    whole = run("whole", None)
    run("parts", 7)
    parts = run("parts", None, resume=True)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(one, other)


def test_points_are_held_across_epochs() -> None:
    loader = FreshPoints({"a": lambda n: torch.rand(n, 2)}, 8, steps=2, every=3)
    first, second, third, fourth = (batch["a"] for _ in range(2) for batch in loader)
    assert torch.equal(first, second)
    assert torch.equal(first, third)
    assert not torch.equal(first, fourth)
    batch = next(iter(loader))
    batch.clear()  # a batch belongs to the one who got it
    assert torch.equal(next(iter(loader))["a"], fourth)


def test_points_are_new_each_time_and_fixed_by_the_seed() -> None:
    loader = FreshPoints({"a": lambda n: torch.rand(n, 2), "b": lambda n: torch.rand(n, 1)}, 8)
    batches = iter(loader)
    first, second = next(batches), next(batches)
    assert not torch.equal(first["a"], second["a"])
    torch.manual_seed(0)
    again = next(iter(loader))
    assert torch.equal(first["a"], again["a"])
    assert torch.equal(first["b"], again["b"])


def test_lengths_and_numbers() -> None:
    samplers = {"pde": lambda n: torch.rand(n, 2), "side": lambda n: torch.rand(n, 2)}
    loader = FreshPoints(samplers, points={"pde": 5, "side": 2}, steps=3)
    assert not loader.infinite
    assert len(loader) == 3
    assert [tuple(batch["pde"].shape) for batch in loader] == [(5, 2)] * 3
    assert loader.draw()["side"].shape == (2, 2)
    endless = FreshPoints(samplers)
    assert endless.infinite
    with pytest.raises(TypeError, match="no length"):
        len(endless)


@pytest.mark.parametrize(
    "options",
    [
        {"samplers": {}},
        {"samplers": {"pde": 3}},
        {"samplers": [torch.rand]},
        {"samplers": {"pde": torch.rand(3, 2)}},
        {"samplers": {"pde": lambda: torch.rand(3, 2)}},
        {"points": 0},
        {"points": {"side": 3}},
        {"steps": 0},
        {"every": 0},
    ],
)
def test_what_cannot_be_is_told(options: dict[str, object]) -> None:
    with pytest.raises(PerceptrainError, match="expected"):
        FreshPoints(**{"samplers": {"pde": torch.rand}, **options})  # type: ignore[arg-type]
