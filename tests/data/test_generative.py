from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, Uniform
from torch.utils.data import DataLoader

from perceptrain import Trainer
from perceptrain.data import GenerativeIterableDataset
from perceptrain.errors import DataError
from perceptrain_core.data import is_infinite


def uniform(n: int) -> Tensor:
    return torch.rand(n, 2)


@pytest.mark.parametrize(
    "dist", [uniform, lambda: torch.rand(2), Uniform(torch.zeros(2), torch.ones(2))]
)
def test_batches_are_fresh_points_for_ever(dist: Any) -> None:
    loader = DataLoader(GenerativeIterableDataset(dist), batch_size=4)
    assert is_infinite(loader)
    batches = list(islice(loader, 25))
    assert all(batch.shape == (4, 2) for batch in batches)
    assert len(torch.unique(torch.cat(batches), dim=0)) == 100


def test_points_come_in_the_order_of_the_distribution() -> None:
    torch.manual_seed(3)
    expected = torch.cat([uniform(1) for _ in range(6)])
    torch.manual_seed(3)
    points = list(islice(GenerativeIterableDataset(uniform), 6))
    assert torch.equal(torch.stack(points), expected)


def test_function_that_makes_whole_batches() -> None:
    dataset = GenerativeIterableDataset(lambda: {"pde": torch.rand(7, 2)})
    batch = next(iter(DataLoader(dataset, batch_size=None)))
    assert batch["pde"].shape == (7, 2)


def test_the_sample_method_of_a_distribution() -> None:
    for dist in (Normal(0.0, 1.0), Uniform(torch.zeros(2), 1.0)):
        torch.manual_seed(3)
        expected = torch.stack([dist.sample() for _ in range(4)])
        torch.manual_seed(3)
        data = GenerativeIterableDataset(dist.sample)
        assert torch.equal(torch.stack([*islice(data, 4)]), expected)
        batch = next(iter(DataLoader(data, batch_size=4)))
        assert batch.shape == expected.shape


def test_workers_draw_their_own() -> None:
    loader = DataLoader(GenerativeIterableDataset(uniform), batch_size=3, num_workers=2)
    points = torch.cat(list(islice(loader, 6)))
    assert len(torch.unique(points, dim=0)) == 18


@pytest.mark.parametrize("as_it_is", [False, True])
def test_one_batch_is_one_epoch(
    make_trainer: Callable[..., Trainer], tmp_path: Any, monkeypatch: Any, as_it_is: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[Tensor] = []

    def loss(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        seen.append(batch)
        return model(batch).square().mean(), {}

    data = GenerativeIterableDataset(uniform)
    given = data if as_it_is else DataLoader(data, batch_size=5)
    trainer = make_trainer(loss, data=given, max_iter=6)
    trainer.fit()
    assert trainer.global_step == len(seen) == 6
    assert len(torch.unique(torch.cat(seen), dim=0)) == 30


def test_resumed_run_draws_what_the_whole_one_draws(
    make_trainer: Callable[..., Trainer], tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)

    def loss(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return (model(batch) - batch.sum(1, keepdim=True)).square().mean(), {}

    def trained(epochs: int, folder: str, resume: bool = False) -> Trainer:
        data = DataLoader(GenerativeIterableDataset(uniform), batch_size=5)
        settings = {"max_iter": epochs, "checkpoint_every": 1, "log_folder": folder, "seed": 1}
        trainer = make_trainer(loss, data=data, **settings)
        trainer.fit(resume=resume)
        return trainer

    whole = trained(7, "whole")
    trained(3, "parts")
    assert trained(7, "parts", resume=True).history == whole.history


def test_what_cannot_be() -> None:
    with pytest.raises(DataError, match="proba_dist is of type float"):
        GenerativeIterableDataset(0.5)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"proba_dist\(1\) returned a Tensor of shape \(2,\)"):
        next(iter(GenerativeIterableDataset(lambda n: torch.rand(2))))
