"""Batches of clouds are means over clouds; one cloud is compared as a whole, in all processes."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import cloudpickle
import pytest
import torch
from torch import nn

from perceptrain import Accelerator, DictDataLoader, TrainConfig, Trainer, get_loss, to_dataloader

RANDOM = torch.Generator().manual_seed(4)
X = torch.randn(24, 2, dtype=torch.float64, generator=RANDOM)
Y = torch.rand(24, 2, dtype=torch.float64, generator=RANDOM)
SHARES = torch.rand(24, dtype=torch.float64, generator=RANDOM)
CLOUDS = tuple(each.reshape(8, 3, 2)[:7] for each in (X, Y))
LOSSES: dict[str, dict[str, Any]] = {
    "sinkhorn": {"blur": 0.3, "diameter": 5.0},
    "energy": {},
    "gaussian_mmd": {"blur": 0.5},
    "laplacian_mmd": {"blur": 0.5},
}


def trainer_for(name: str, data: Any, batch_size: int, **settings: Any) -> Trainer:
    gather = settings.pop("gather", False)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    quiet = {"max_iter": 2, "shuffle": False, "verbose": False, "tracking_tool": "none"}
    config = TrainConfig(batch_size=batch_size, **{**quiet, **settings})
    loss = get_loss(name, **LOSSES[name], gather=gather)
    return Trainer(model, {"name": "sgd", "lr": 0.1}, config, loss, data, data)


def weights(trainer: Trainer) -> torch.Tensor:
    return nn.utils.parameters_to_vector(trainer.model.parameters()).detach()


@pytest.mark.parametrize("name", LOSSES)
def test_batches_of_clouds_are_means_over_clouds(name: str) -> None:
    truth = trainer_for(name, CLOUDS, 7)
    expected = truth.validate()
    truth.fit()
    for batch_size, accumulate in ((2, 4), (3, 3), (5, 2)):
        trainer = trainer_for(name, CLOUDS, batch_size, accumulate=accumulate)
        assert trainer.validate() == pytest.approx(expected, rel=1e-9)
        trainer.fit()
        torch.testing.assert_close(weights(trainer), weights(truth), rtol=1e-9, atol=1e-12)
        assert trainer.history[0] == pytest.approx(truth.history[0], rel=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_a_cloud_that_is_split_is_warned_of(name: str) -> None:
    with pytest.warns(UserWarning, match="depends on all rows of a batch.*accumulate=2"):
        trainer_for(name, (X, Y), 8, accumulate=2).fit()


def parts(points: int, batch_size: int) -> DictDataLoader:
    """Clouds of different sizes, with weights of the target."""
    data = {"inputs": X, "points": Y[:points], "weights": SHARES[:points]}
    sizes = {"inputs": batch_size, "points": batch_size // 2, "weights": batch_size // 2}
    return DictDataLoader(
        {name: to_dataloader(each, batch_size=sizes[name]) for name, each in data.items()}
    )


def trained(name: str, batch_size: int, gather: bool) -> dict[str, Any]:
    pairs = trainer_for(name, (X, Y), batch_size, gather=gather)
    pairs.fit()
    found = {"weights": weights(pairs), "history": list(pairs.history)}
    if not get_loss(name).balanced:
        unequal = trainer_for(name, parts(12, batch_size), batch_size, gather=gather)
        unequal.fit()
        found["unequal"] = weights(unequal)
    return found


def in_two_processes() -> Any:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    found = {name: trained(name, 4, True) for name in LOSSES}
    with pytest.warns(UserWarning, match=r"EnergyLoss.*gather=True uses them all"):
        trainer_for("energy", (X, Y), 4).fit()
    trainer_for("energy", CLOUDS, 2).fit()  # clouds by themselves
    return found


@pytest.fixture(scope="module")
def two() -> Any:
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return Accelerator(nprocs=2, compute_setup="cpu").distribute(in_two_processes)()
    finally:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.slow
@pytest.mark.parametrize("name", LOSSES)
def test_two_processes_train_as_one(two: Any, name: str) -> None:
    alone = trained(name, 8, False)
    for key in alone.keys() - {"history"}:
        torch.testing.assert_close(two[name][key], alone[key], rtol=1e-9, atol=1e-12)
    for row, expected in zip(two[name]["history"], alone["history"], strict=True):
        assert row == pytest.approx(expected, rel=1e-9)
