"""A fit is the loop that a person would write by hand, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import LBFGS, SGD, Adam, AdamW, Optimizer
from torch.utils.data import DataLoader, TensorDataset

from perceptrain import Callback, TrainConfig, Trainer, to_dataloader
from perceptrain.errors import TrainingError

from ..shared import noisy_net, same

MakeTrainer = Callable[..., Trainer]
Net = Callable[..., nn.Module]
Rows = tuple[Tensor, Tensor]


def by_hand(model: nn.Module, optimizer: Optimizer, loader: Any, epochs: int) -> list[float]:
    model.train()
    means = []
    for _ in range(epochs):
        losses = []
        for x, y in loader:

            def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
                optimizer.zero_grad()
                loss = F.mse_loss(model(x), y)
                loss.backward()
                return loss

            if isinstance(optimizer, LBFGS):
                losses.append(len(x) * optimizer.step(closure).item())
            else:
                losses.append(len(x) * closure().item())
                optimizer.step()
        means.append(sum(losses) / len(loader.dataset))
    return means


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        (Adam, {"lr": 0.01}),
        (AdamW, {"lr": 0.01, "fused": True}),
        (LBFGS, {"lr": 0.1, "max_iter": 3}),
    ],
)
def test_equals_a_loop_written_by_hand(
    rows: Rows, kind: type[Optimizer], options: dict[str, Any], shuffle: bool
) -> None:
    ours, theirs = noisy_net(), noisy_net()
    loader = DataLoader(TensorDataset(*rows), batch_size=6, shuffle=shuffle)
    torch.manual_seed(7)
    means = by_hand(theirs, kind(theirs.parameters(), **options), loader, epochs=4)
    config = TrainConfig(max_iter=4, seed=7, verbose=False)
    trainer = Trainer(ours, kind(ours.parameters(), **options), config, "mse", loader)
    assert trainer.fit() == (ours, trainer.optimizer)
    assert same(ours, theirs)
    assert [row["train_loss"] for row in trainer.history] == pytest.approx(means, rel=1e-6)


def test_plain_tensors_are_shuffled_for_training(make_trainer: MakeTrainer) -> None:
    runs = [make_trainer(shuffle=shuffle, seed=3) for shuffle in (False, True)]
    for trainer in runs:
        trainer.fit()
    assert runs[0].history != runs[1].history


def test_no_seed_leaves_the_generators_alone(make_trainer: MakeTrainer) -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    make_trainer().fit()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("epochs", [0, 1, 7])
def test_exactly_so_many_epochs(make_trainer: MakeTrainer, epochs: int) -> None:
    trainer = make_trainer(max_iter=epochs)
    trainer.fit()
    assert len(trainer.history) == trainer.current_epoch == epochs
    assert trainer.global_step == epochs * 4
    assert trainer.batches_seen == epochs * 4


def test_history_is_a_row_of_floats_for_each_epoch(make_trainer: MakeTrainer, rows: Rows) -> None:
    def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        loss = F.mse_loss(model(batch[0]), batch[1])
        return loss, {"half": loss / 2, "number": 3}

    trainer = make_trainer(loss_fn, val=rows, val_every=2, max_iter=5)
    trainer.fit()
    train = ["train_loss", "train_half", "train_number"]
    val = ["val_loss", "val_half", "val_number"]
    assert [list(row) for row in trainer.history] == [train, train + val] * 2 + [train]
    for row in trainer.history:
        assert all(type(value) is float for value in row.values())
        assert row["train_half"] == pytest.approx(row["train_loss"] / 2)
        assert row["train_number"] == 3.0


def test_result_at_the_end_of_an_epoch(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_iter=3)
    trainer.fit()
    result = trainer.opt_result
    assert result.iteration == 3
    assert result.model is trainer.model
    assert result.optimizer is trainer.optimizer
    assert result.metrics == trainer.history[-1]
    assert result.loss == trainer.history[-1]["train_loss"]
    assert (result.rank, result.device) == (0, torch.device("cpu"))


def test_fitting_again_starts_afresh_and_keeps_the_weights(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(max_iter=3, optimizer=None)
    trainer.fit()
    first = trainer.history
    trainer.fit()
    assert len(trainer.history) == 3
    assert trainer.global_step == 12
    assert trainer.history[0]["train_loss"] < first[0]["train_loss"]
    assert len(first) == 3


def test_data_given_to_fit_take_the_place_of_those_before(
    make_trainer: MakeTrainer, rows: Rows
) -> None:
    trainer = make_trainer(data=None)
    trainer.fit(to_dataloader(*rows, batch_size=20))
    assert trainer.global_step == 2
    trainer.fit(rows)
    assert trainer.global_step == 8


def test_a_model_that_needs_no_data(make_trainer: MakeTrainer) -> None:
    class Point(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.x = nn.Parameter(torch.tensor([3.0, -2.0]))

        def forward(self) -> Tensor:
            return (self.x - torch.tensor([1.0, 1.0])).square().sum()

    def loss_fn(batch: None, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        assert batch is None
        return model(), {}

    model = Point()
    sgd = SGD(model.parameters(), lr=0.25)
    trainer = make_trainer(loss_fn, data=None, model=model, optimizer=sgd, max_iter=30)
    trainer.fit()
    assert trainer.global_step == 30
    assert torch.allclose(model.x, torch.ones(2), atol=1e-6)


def test_step_of_a_user(make_trainer: MakeTrainer) -> None:
    seen = []

    def step(
        model: nn.Module,
        optimizer: Any,
        loss_fn: Any,
        xs: Any,
        device: Any = None,
        dtype: Any = None,
    ) -> Any:
        seen.append((device, dtype))
        optimizer.zero_grad()
        loss, metrics = loss_fn(xs, model)
        loss.backward()
        optimizer.step()
        return loss, metrics  # with its graph: the trainer keeps none

    ours = make_trainer(options={"optimize_step": step}, dtype="float32")
    theirs = make_trainer()
    ours.fit()
    theirs.fit()
    assert seen == [(torch.device("cpu"), torch.float32)] * 8
    assert ours.history == theirs.history
    assert same(ours.model, theirs.model)


def test_float64_by_one_setting(make_trainer: MakeTrainer) -> None:
    seen = set()

    def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        seen.add((batch[0].dtype, batch[1].dtype))
        return F.mse_loss(model(batch[0]), batch[1]), {}

    trainer = make_trainer(loss_fn, dtype="float64")
    trainer.fit()
    assert seen == {(torch.float64, torch.float64)}
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float64}
    assert torch.get_default_dtype() is torch.float32


def test_class_labels_are_not_cast(make_trainer: MakeTrainer, make_net: Net) -> None:
    data = torch.randn(12, 2), torch.arange(12) % 3
    trainer = make_trainer("cross_entropy", data=data, model=make_net(2, 8, 3), dtype="float64")
    trainer.fit()
    assert trainer.history[1]["train_loss"] < trainer.history[0]["train_loss"]


def test_a_metric_that_changes_later_is_taken_as_it_was(make_trainer: MakeTrainer) -> None:
    """Such as the unknown coefficient of an equation, or a count of the loss's own."""
    model = nn.Linear(2, 1)
    seen: list[float] = []
    count = torch.zeros(())

    def loss(batch: Any, model: Any) -> Any:
        seen.append(model.bias[0].item())
        count.add_(1)
        metrics = {"bias": model.bias[0], "count": count}
        return (model(batch[0]) - batch[1]).square().mean(), metrics

    trainer = make_trainer(loss, model=model, optimizer={"name": "sgd", "lr": 0.5}, max_iter=1)
    trainer.fit()
    row = trainer.history[0]
    assert row["train_bias"] == pytest.approx(sum(seen) / 4)
    assert row["train_count"] == 2.5


def test_fit_inside_a_fit_of_the_same_trainer(make_trainer: MakeTrainer) -> None:
    again = Callback("train_epoch_end", 1, lambda trainer, config, writer: trainer.fit())
    with pytest.raises(TrainingError, match="cannot be called from inside its own fit"):
        make_trainer(callbacks=[again]).fit()


def test_validation_data_that_nobody_will_look_at(make_trainer: MakeTrainer, rows: Any) -> None:
    with pytest.warns(UserWarning, match="val_every=0, so nothing is validated"):
        make_trainer().fit(rows, rows)


@pytest.mark.parametrize("setting", [{"precision": "fp16"}, {"lr_scheduler": "exponential"}])
def test_no_optimizer_is_refused_first(make_trainer: MakeTrainer, setting: dict[str, Any]) -> None:
    trainer = make_trainer(**setting)
    trainer.optimizer = None
    with pytest.raises(TrainingError, match="Training needs an optimizer"):
        trainer.fit()


def test_a_trainer_is_shown_in_a_line(make_trainer: Callable[..., Trainer]) -> None:
    trainer = make_trainer(max_iter=2)
    assert repr(trainer).endswith(", 0 epochs)")
    trainer.fit()
    name, optimizer = type(trainer.model).__name__, type(trainer.optimizer).__name__
    loss = f"train_loss {trainer.history[-1]['train_loss']:.4g}"
    assert repr(trainer) == f"Trainer({name}, {optimizer}, 2 epochs, {loss})"
    trainer.optimizer = None
    assert repr(trainer) == f"Trainer({name}, 2 epochs, {loss})"
