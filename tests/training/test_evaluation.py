"""Validation and test: by the loss itself, without gradients, and without a trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import FFNN, PINN, SkipBatch, TrainConfig, Trainer, to_dataloader
from perceptrain.data import ValidationSets
from perceptrain.errors import DataError, LossContractError, ShapeError

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]


def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    assert torch.is_grad_enabled() is model.training
    error = model(batch[0]) - batch[1]
    return error.square().mean(), {"worst": error.abs().max()}


@pytest.fixture
def other() -> Rows:
    """Data that are not those of the training; their number of batches differs too."""
    x = torch.randn(7, 2, generator=torch.Generator().manual_seed(5))
    return x, x[:, :1]


def expected(model: nn.Module, data: Rows, size: int) -> list[tuple[float, float]]:
    with torch.no_grad():
        errors = [model(x) - y for x, y in zip(*(t.split(size) for t in data), strict=True)]
    return [(e.square().mean().item(), e.abs().max().item()) for e in errors]


def test_validation_is_the_mean_over_its_rows(make_trainer: MakeTrainer, other: Rows) -> None:
    trainer = make_trainer(loss_fn, val=other)
    parts, sizes = expected(trainer.model, other, 5), [len(p) for p in other[0].split(5)]
    columns = zip(*parts, strict=True)
    means = [sum(v * n for v, n in zip(c, sizes, strict=True)) / len(other[0]) for c in columns]
    ((whole, _),) = expected(trainer.model, other, len(other[0]))
    assert means[0] == pytest.approx(whole, rel=1e-6)
    row = trainer.validate()
    assert list(row) == ["val_loss", "val_worst"]
    assert list(row.values()) == pytest.approx(means, rel=1e-6)
    assert trainer.validate(to_dataloader(*other, batch_size=5)) == row


def test_validation_during_the_fit(make_trainer: MakeTrainer, other: Rows) -> None:
    trainer = make_trainer(loss_fn, val=other, val_every=3, max_iter=7)
    trainer.fit()
    with_val = [i for i, row in enumerate(trainer.history, 1) if "val_loss" in row]
    assert with_val == [3, 6]
    again = make_trainer(loss_fn, max_iter=6)
    again.fit()
    assert trainer.history[5] == again.history[5] | again.validate(other)


def test_a_test_uses_the_loader_of_the_constructor_and_gives_a_row_for_each_batch(
    make_trainer: MakeTrainer, other: Rows
) -> None:
    trainer = make_trainer(loss_fn, test=to_dataloader(*other, batch_size=2))
    found = trainer.test()
    assert [set(row) for row in found] == [{"test_loss", "test_worst"}] * 4
    loss, worst = (f"{name} {found.means[name]:.4g}" for name in ("test_loss", "test_worst"))
    assert repr(found) == f"TestRows(4 batches, {loss}, {worst})"
    assert repr(type(found)()) == "TestRows(0 batches)"
    for row, values in zip(found, expected(trainer.model, other, 2), strict=True):
        assert list(row.values()) == pytest.approx(values, rel=1e-6)


def test_a_test_of_data_given_to_it(make_trainer: MakeTrainer, other: Rows, rows: Rows) -> None:
    trainer = make_trainer(loss_fn, test=rows)
    assert len(trainer.test(other)) == 2
    assert len(trainer.test()) == 4
    limited = make_trainer(loss_fn, test=rows, options={"max_batches": 3})
    assert len(limited.test()) == 3


def test_there_are_none(make_trainer: MakeTrainer) -> None:
    with pytest.raises(DataError, match="no data to evaluate on: pass val_dataloader"):
        make_trainer().validate()
    with pytest.raises(DataError, match="no data to evaluate on: pass test_dataloader"):
        make_trainer().test()


def test_no_optimizer_is_needed(rows: Rows) -> None:
    from perceptrain import TrainConfig
    from perceptrain.errors import TrainingError

    model = FFNN([2, 4, 1])
    trainer = Trainer(model, None, TrainConfig(verbose=False), "mse", rows, rows, rows)
    assert trainer.validate()["val_loss"] > 0
    with pytest.raises(TrainingError, match="Training needs an optimizer"):
        trainer.fit()


class Mixed(nn.Module):
    """Its parts are in different modes: a frozen normalization, as in fine-tuning."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.BatchNorm1d(2).eval()
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(self.frozen(x)))  # type: ignore[no-any-return]


def flags(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def test_modes_of_all_submodules_come_back(make_trainer: MakeTrainer, rows: Rows) -> None:
    """The model is not left in evaluation mode."""
    model = Mixed()
    before = flags(model)
    trainer = make_trainer(model=model, val=rows, test=rows, val_every=1)
    for run in (trainer.fit, trainer.validate, trainer.test):
        run()
        assert flags(model) == before
        assert torch.is_grad_enabled()
    model.eval()
    trainer.fit()
    assert not any(flags(model))


@pytest.mark.parametrize("run", ["fit", "validate", "test"])
def test_modes_come_back_after_an_error(make_trainer: MakeTrainer, rows: Rows, run: str) -> None:
    def fails(batch: Rows, model: nn.Module) -> Any:
        assert model.training is (run == "fit")
        raise ZeroDivisionError

    model = Mixed()
    before = flags(model)
    trainer = make_trainer(fails, model=model, val=rows, test=rows)
    with pytest.raises(ZeroDivisionError):
        getattr(trainer, run)()
    assert flags(model) == before
    assert torch.is_grad_enabled()


def test_the_fit_trains_in_training_mode(make_trainer: MakeTrainer, rows: Rows) -> None:
    modes: list[tuple[bool, bool]] = []

    class Loss(nn.Module):
        def forward(self, batch: Rows, model: nn.Module) -> Any:
            modes.append((model.training, self.training))
            return F.mse_loss(model(batch[0]), batch[1]), {}

    trainer = make_trainer(Loss(), val=rows, val_every=1, batch_size=20)
    trainer.model.eval()
    trainer.fit()
    assert modes == [(True, True), (False, False)] * 2


def test_evaluation_changes_nothing(make_trainer: MakeTrainer, rows: Rows) -> None:
    trainer = make_trainer(model=nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1)))
    before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    trainer.validate(rows)
    trainer.test(rows)
    after = trainer.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in trainer.model.parameters())


@pytest.mark.parametrize("result", [torch.tensor(1.0), (torch.ones(2), {}), (1.0, {})])
def test_contract_is_checked_in_evaluation_too(
    make_trainer: MakeTrainer, rows: Rows, result: Any
) -> None:
    with pytest.raises(LossContractError, match="The loss"):
        make_trainer(lambda batch, model: result).validate(rows)


def test_pinn_is_trained_validated_and_tested(make_trainer: MakeTrainer) -> None:
    """Derivatives by the inputs work in validation and test as in training."""

    def ode(t: Tensor, u: nn.Module) -> Tensor:
        (du,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
        return du + u(t)

    def start(t: Tensor, u: nn.Module) -> Tensor:
        return u(t) - 1

    torch.manual_seed(0)
    model = PINN(FFNN([1, 12, 1]), {"ode": ode, "start": start})
    data = {"ode": torch.linspace(0, 1, 20).reshape(-1, 1), "start": torch.zeros(5, 1)}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    trainer = make_trainer(
        "mse",
        data=data,
        val=data,
        test=data,
        model=model,
        optimizer=optimizer,
        max_iter=150,
        val_every=50,
        batch_size=20,
    )
    trainer.fit()
    (row,) = trainer.test()
    assert set(row) == {"test_loss", "test_ode", "test_start"}
    assert row["test_loss"] < 0.01 < trainer.history[0]["train_loss"]
    assert trainer.validate()["val_loss"] == pytest.approx(row["test_loss"])
    assert trainer.history[149]["val_ode"] == pytest.approx(row["test_ode"])
    solution = model.nn(data["ode"])
    assert torch.allclose(solution, torch.exp(-data["ode"]), atol=0.1)


def test_skipped_batches_do_not_count() -> None:
    def loss(batch: Any, model: nn.Module) -> Any:
        if batch[0].sum() < 0:
            raise SkipBatch
        return nn.functional.mse_loss(model(batch[0]), batch[1]), {}

    config = TrainConfig(verbose=False, tracking_tool="none")
    trainer = Trainer(nn.Linear(1, 1), None, config, loss)
    first, second = ((torch.full((2, 1), sign), torch.ones(2, 1)) for sign in (-1.0, 1.0))
    assert trainer.validate([first, second]) == trainer.validate([second])
    assert len(trainer.test([first, second])) == 1
    with pytest.raises(DataError, match="skipped all"):
        trainer.validate([first])


def test_an_error_about_the_data_says_which_data() -> None:
    x, good, bad = torch.rand(4, 2), torch.zeros(4).long(), torch.full((4,), 7)
    config = TrainConfig(max_iter=1, val_every=1, verbose=False)
    trainer = Trainer(FFNN([2, 3]), "sgd", config, "cross_entropy", (x, good), (x, bad), (x, bad))
    with pytest.raises(DataError, match=r"^On the validation data: A class label is out of range"):
        trainer.fit()
    with pytest.raises(DataError, match=r"^On the test data: A class label is out of range"):
        trainer.test()
    with pytest.raises(ShapeError, match=r"^On the validation set 'far': .*shape"):
        trainer.validate(ValidationSets(near=(x, good), far=(x, good[:, None, None])))
    with pytest.raises(DataError, match=r"^A class label is out of range"):
        trainer.fit((x, bad))


def test_a_share_is_exact_to_double_precision() -> None:
    labels = torch.arange(3).repeat(10)
    inputs = 5 * torch.eye(3)[labels]
    labels[0] = 1
    model = nn.Identity()
    config = TrainConfig(batch_size=7, val_every=1, verbose=False)
    loss = {"name": "cross_entropy", "accuracy": True}
    metrics = {"all": "accuracy", "recall": {"name": "recall", "average": "micro"}}
    trainer = Trainer(model, None, config, loss, metrics=metrics)
    row = trainer.validate((inputs, labels))
    assert row["val_accuracy"] == pytest.approx(29 / 30, rel=1e-15)
    assert (row["val_all"], row["val_recall"]) == (29 / 30, 29 / 30)
