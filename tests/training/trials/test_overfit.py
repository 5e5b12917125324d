"""One batch, learned by heart."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import FFNN, TrainConfig, Trainer
from perceptrain.errors import ConfigError, DataError, LossContractError, NonFiniteLossError

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]


@pytest.mark.parametrize(
    "optimizer", [{"name": "adam", "lr": 0.05}, {"name": "lbfgs", "lr": 0.5}], ids=str
)
def test_a_small_batch_is_learned(make_trainer: MakeTrainer, rows: Rows, optimizer: Any) -> None:
    trainer = make_trainer(optimizer=optimizer)
    batch = rows[0][:4], rows[1][:4]
    found = trainer.overfit_batch(batch, steps=300)
    assert found.passed
    assert found.first == found.losses[0] == F.mse_loss(trainer.model(batch[0]), batch[1]).item()
    assert found.last == found.losses[-1] < 1e-4
    assert found.ratio == found.last / found.first
    assert len(found.losses) == 300
    assert found.verdict.startswith("The loss fell from ")
    assert found.verdict.endswith("in 300 steps on one batch: the model can learn it.")


def test_the_first_batch_of_the_data(make_trainer: MakeTrainer, rows: Rows) -> None:
    first = make_trainer(batch_size=5).overfit_batch(steps=2).first
    assert first == make_trainer().overfit_batch((rows[0][:5], rows[1][:5]), steps=2).first
    other = [(rows[0][5:], rows[1][5:])]
    assert make_trainer().overfit_batch(train_dataloader=other, steps=2).first != first


def test_without_data(make_trainer: MakeTrainer, make_net: Any) -> None:
    def at_one(batch: None, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return (model(torch.ones(1, 2)) - 3).square().sum(), {}

    assert make_trainer(at_one, data=None).overfit_batch().passed


def verdict_of(make: MakeTrainer, lr: float, **options: Any) -> str:
    trainer = make(optimizer={"name": "sgd", "lr": lr}, **options)
    found = trainer.overfit_batch()
    assert not found.passed
    return found.verdict


def test_a_learning_rate_of_zero(make_trainer: MakeTrainer) -> None:
    assert verdict_of(make_trainer, 0.0).endswith("on one batch: the learning rate is 0.")


def test_a_learning_rate_that_is_too_low(make_trainer: MakeTrainer) -> None:
    assert "raise steps or the learning rate" in verdict_of(make_trainer, 1e-6)


def test_a_learning_rate_that_is_too_high(make_trainer: MakeTrainer) -> None:
    model = nn.Linear(2, 1)
    assert "NaN or infinite after" in verdict_of(make_trainer, 10.0, model=model)
    at_the_edge = nn.Linear(1, 1, bias=False)
    data = torch.ones(4, 1), torch.zeros(4, 1)
    verdict = verdict_of(make_trainer, 1.01, model=at_the_edge, data=data)
    assert verdict.endswith("it did not fall: lower the learning rate.")


def test_a_gradient_that_is_zero(make_trainer: MakeTrainer) -> None:
    dead = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        dead[0].bias.fill_(-100)
        dead[2].bias.requires_grad_(False)
    assert "the gradient is 0 (dead activations" in verdict_of(make_trainer, 0.1, model=dead)


def test_labels_that_have_nothing_to_do_with_the_inputs(make_trainer: MakeTrainer) -> None:
    """Two rows with the same inputs and other labels: no model can learn them."""
    x, y = torch.ones(20, 2), torch.tensor([[0.0], [1.0]]).repeat(10, 1)
    verdict = verdict_of(make_trainer, 0.1, data=(x, y), batch_size=20)
    assert "the labels do not follow from the inputs" in verdict


def test_a_loss_below_zero_has_to_fall_by_as_much(make_trainer: MakeTrainer) -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(-1.0)
    data = torch.ones(4, 1), torch.zeros(4, 1)

    def found(lr: float) -> Any:
        loss_fn = lambda batch, model: (model(batch[0]).mean(), {})  # noqa: E731
        trainer = make_trainer(loss_fn, model=model, data=data, optimizer={"name": "sgd", "lr": lr})
        return trainer.overfit_batch(steps=11, target=0.5)

    assert found(0.051).passed  # from -1 to -1.51
    assert not found(0.049).passed


def test_a_loss_of_zero(make_trainer: MakeTrainer) -> None:
    zero = make_trainer(lambda batch, model: (0 * model(batch[0]).sum(), {}))
    assert isnan(zero.overfit_batch(steps=2).ratio)


def test_target(make_trainer: MakeTrainer) -> None:
    ratio = make_trainer().overfit_batch(steps=20).ratio
    assert 0 < ratio < 1
    assert make_trainer().overfit_batch(steps=20, target=ratio + 1e-6).passed
    assert not make_trainer().overfit_batch(steps=20, target=ratio - 1e-6).passed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 1}, "steps=1: expected a whole number of at least 2"),
        ({"steps": 3.0}, "steps=3.0"),
        ({"target": 0}, "target=0: expected a number above 0 and below 1"),
        ({"target": 1.5}, "target=1.5"),
    ],
)
def test_fault(make_trainer: MakeTrainer, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=f"overfit_batch: {message}"):
        make_trainer().overfit_batch(**options)


def test_errors_are_those_of_training(make_trainer: MakeTrainer) -> None:
    with pytest.raises(LossContractError, match="does not depend on the parameters"):
        make_trainer(lambda b, model: (model(b[0]).detach().sum(), {})).overfit_batch()
    with pytest.raises(NonFiniteLossError, match="in a trial"):
        make_trainer(lambda b, model: (model(b[0]).sum() * torch.inf, {})).overfit_batch()
    with pytest.raises(DataError, match="no batch"):
        make_trainer().overfit_batch(train_dataloader=iter([]))


def test_digits() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    batch = torch.tensor(digits.data[:32], dtype=torch.float32), torch.tensor(digits.target[:32])
    config = TrainConfig(verbose=False)
    model = FFNN([64, 32, 10])
    assert (
        Trainer(model, {"name": "adam", "lr": 1e-2}, config, "cross_entropy")
        .overfit_batch(batch)
        .passed
    )


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_in_lower_precision(make_trainer: MakeTrainer, precision: str) -> None:
    optimizer = {"name": "adam", "lr": 0.05}
    assert make_trainer(optimizer=optimizer, precision=precision).overfit_batch().ratio < 0.2
