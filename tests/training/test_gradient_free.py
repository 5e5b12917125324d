"""Training by an optimizer that proposes candidates."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isnan, nan
from typing import Any

import nevergrad as ng
import pytest
import torch
from torch import Tensor, nn

from perceptrain import Callback, TrainConfig, Trainer, num_parameters
from perceptrain.callbacks import LRSchedulerStepDecay
from perceptrain.errors import (
    CallbackError,
    CheckpointError,
    ConfigError,
    LossContractError,
    NonFiniteLossError,
    TrainingError,
)
from perceptrain.optimizers import AskTell, NevergradOptimizer
from perceptrain_core.losses import mse_loss
from perceptrain_core.training.steppers.candidates import check_search_settings

from ..shared import same

MakeTrainer = Callable[..., Trainer]
Net = Callable[..., nn.Module]
CMA = {"name": "cma", "seed": 1}


def by_hand(model: nn.Module, seed: int = 1) -> Any:
    search = ng.optimizers.CMA(parametrization=num_parameters(model), budget=100)
    search.parametrization.random_state.seed(seed)
    return search


@pytest.fixture
def make(make_trainer: MakeTrainer) -> MakeTrainer:
    """Make a trainer that searches; all the data are one batch."""

    def made(*args: Any, **options: Any) -> Trainer:
        return make_trainer(
            *args, **({"optimizer": CMA, "batch_size": 20, "max_iter": 25} | options)
        )

    return made


def test_a_search_made_with_nevergrad(make: MakeTrainer, make_net: Net) -> None:
    model = make_net()
    optimizer = ng.optimizers.NGOpt(parametrization=num_parameters(model), budget=200)
    trainer = make(model=model, optimizer=optimizer, max_iter=200, seed=0)
    assert trainer.fit() == (model, optimizer)
    assert not trainer.use_grad
    assert trainer.global_step == len(trainer.history) == optimizer.num_tell == 200
    losses = [row["train_loss"] for row in trainer.history]
    assert losses.index(min(losses)) > 0
    assert trainer.validate(trainer.train_dataloader)["val_loss"] == pytest.approx(min(losses))
    assert all(p.grad is None for p in model.parameters())


def test_every_validation_is_of_the_best_so_far(make: MakeTrainer) -> None:
    trainer = make(val_every=1)
    trainer.fit(val_dataloader=trainer.train_dataloader)
    best = inf
    for row in trainer.history:
        best = min(best, row["train_loss"])
        assert row["val_loss"] == pytest.approx(best)


def test_a_checkpoint_holds_the_best_so_far(make: MakeTrainer) -> None:
    held: list[float] = []

    def note(trainer: Any, config: Any, writer: Any) -> None:
        state = trainer.state_dict()["model"]
        trainer.model.load_state_dict(state)
        with torch.no_grad():
            held.append(mse_loss(trainer.train_dataloader, trainer.model)[0].item())

    trainer = make(callbacks=[Callback("train_epoch_end", callback=note)])
    trainer.fit()
    losses = [row["train_loss"] for row in trainer.history]
    assert held == pytest.approx([min(losses[: n + 1]) for n in range(len(losses))])


def test_the_seed_makes_runs_alike(make: MakeTrainer) -> None:
    runs = [make(optimizer="cma", seed=seed) for seed in (1, 1, 2)]
    for trainer in runs:
        trainer.fit()
    assert runs[0].history == runs[1].history
    assert runs[0].history != runs[2].history


@pytest.mark.slow
@pytest.mark.parametrize("by", ["name", "hand"])
def test_a_resumed_run_ends_as_one_that_was_not_stopped(
    make: MakeTrainer, make_net: Net, by: str
) -> None:
    def trainer(folder: str, epochs: int, seed: int = 1) -> Trainer:
        model = make_net()
        optimizer = by_hand(model, seed) if by == "hand" else {"name": "ngopt", "budget": 40}
        return make(
            model=model,
            optimizer=optimizer,
            max_iter=epochs,
            seed=0,
            checkpoint_every=5,
            log_folder=folder,
        )

    straight, stopped = trainer("straight", 40), trainer("stopped", 20)
    straight.fit()
    stopped.fit()
    resumed = trainer("stopped", 40, seed=7)
    resumed.fit(resume=True)
    assert resumed.history == straight.history
    assert same(resumed.model, straight.model)
    assert torch.equal(resumed.optimizer.ask(), straight.optimizer.ask())


def test_a_run_stopped_in_the_midst_of_an_epoch_goes_on(make: MakeTrainer) -> None:
    def stop(trainer: Any, config: Any, writer: Any) -> None:
        if trainer.global_step == 10:
            signal.raise_signal(signal.SIGTERM)

    options = {"max_iter": 8, "batch_size": 5, "checkpoint_every": 8}
    straight = make(**options, log_folder="straight")
    straight.fit()
    stopping = Callback("train_batch_end", callback=stop)
    stopped = make(**options, log_folder="stopped", callbacks=[stopping])
    stopped.fit()
    assert stopped.interrupted
    assert stopped.optimizer.search.num_tell == 10
    resumed = make(**options, log_folder="stopped")
    resumed.fit(resume=True)
    assert resumed.history == straight.history
    assert same(resumed.model, straight.model)


def test_the_same_trainer_goes_on(make: MakeTrainer, make_net: Net) -> None:
    model = make_net()
    trainer = make(model=model, optimizer=by_hand(model), max_iter=5, checkpoint_every=5)
    trainer.fit()
    trainer.config.max_iter = 10
    trainer.fit(resume=True)
    assert len(trainer.history) == trainer.optimizer.search.num_tell == 10


def test_a_checkpoint_of_the_other_kind(make: MakeTrainer) -> None:
    make(max_iter=1, checkpoint_every=1, log_folder="search").fit()
    make(max_iter=1, checkpoint_every=1, log_folder="adam", optimizer=None).fit()
    with pytest.raises(CheckpointError, match="does not fit the optimizer"):
        make(log_folder="search", optimizer=None).fit(resume=True)
    with pytest.raises(CheckpointError, match="belongs to another optimizer"):
        make(log_folder="adam").fit(resume=True)


def test_other_optimizers_inside_a_with(make: MakeTrainer, make_net: Net) -> None:
    trainer = make(optimizer="adam", model=make_net())
    adam = trainer.optimizer
    search = by_hand(trainer.model)
    with trainer.disable_grad_opt(search):
        assert not trainer.use_grad
        assert "optimizer" not in trainer.provenance
        assert trainer.fit()[1] is search
        with trainer.enable_grad_opt("sgd"):
            assert trainer.use_grad
            assert trainer.provenance["optimizer"]["name"] == "perceptrain-core/sgd"
            trainer.fit()
        assert trainer.optimizer.search is search
    assert trainer.use_grad
    assert trainer.fit()[1] is adam
    with pytest.raises(ZeroDivisionError), trainer.disable_grad_opt(search):
        raise ZeroDivisionError
    assert trainer.optimizer is adam
    assert trainer.provenance["optimizer"]["name"] == "perceptrain-core/adam"


def test_without_an_argument_it_is_the_one_that_is_there(make: MakeTrainer) -> None:
    trainer = make()
    with trainer.disable_grad_opt():
        trainer.fit()
    with pytest.raises(TrainingError, match=r"use_grad=True .* NevergradOptimizer, uses no grad"):
        trainer.enable_grad_opt().__enter__()
    with (
        pytest.raises(TrainingError, match=r"use_grad=False .* Adam, follows gradients"),
        make(optimizer="adam").disable_grad_opt(),
    ):
        pass


def test_set_use_grad_on_the_class_changes_nothing(make: MakeTrainer) -> None:
    Trainer.set_use_grad(False)
    trainer = make(optimizer="adam")
    assert trainer.use_grad
    trainer.fit()


def test_set_use_grad_on_an_object_must_agree_with_the_optimizer(make: MakeTrainer) -> None:
    trainer = make(optimizer="adam")
    trainer.set_use_grad(False)
    with pytest.raises(TrainingError, match="The optimizer decides"):
        trainer.fit()
    with trainer.disable_grad_opt(CMA):
        trainer.fit()
    trainer.set_use_grad(True)
    trainer.fit()
    with pytest.raises(AttributeError):
        trainer.use_grad = False  # type: ignore[misc]


def bad_at(*numbers: int) -> Any:
    """A loss that is NaN at some of its calls in training."""
    calls = iter(range(10_000))

    def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        loss, metrics = mse_loss(batch, model)
        return loss * (nan if next(calls) in numbers else 1), metrics

    return loss_fn


def test_a_bad_loss_stops_at_the_best_before_it(make: MakeTrainer) -> None:
    trainer = make(bad_at(12))
    with pytest.raises(NonFiniteLossError, match=r"epoch 13, batch 1: the loss is nan.*holds the"):
        trainer.fit()
    best = trainer.optimizer.best_loss
    assert mse_loss(trainer.train_dataloader, trainer.model)[0].item() == pytest.approx(best)


def test_a_bad_loss_is_told_and_left_out(make: MakeTrainer) -> None:
    trainer = make(bad_at(3, 7), on_nonfinite="skip")
    trainer.fit()
    assert (trainer.global_step, trainer.batches_seen) == (23, 25)
    assert trainer.optimizer.search.num_tell == 25
    assert [isnan(row["train_loss"]) for row in trainer.history].count(True) == 2


def test_warns_while_no_candidate_was_good(make: MakeTrainer) -> None:
    trainer = make(bad_at(0), on_nonfinite="skip")
    with pytest.warns(UserWarning, match="Epoch 1: no candidate so far has a finite loss") as told:
        trainer.fit()
    assert len(told) == 1


def test_the_first_batch_is_checked(make: MakeTrainer) -> None:
    with pytest.raises(LossContractError, match="alone"):
        make(lambda batch, model: model(batch[0]).mean()).fit()
    # It need not have gradients.
    make(lambda batch, model: (mse_loss(batch, model)[0].detach().round(), {})).fit()


def test_a_step_of_ones_own(make: MakeTrainer) -> None:
    seen = []

    def step(model: Any, optimizer: Any, loss_fn: Any, xs: Any, device: Any, dtype: Any) -> Any:
        candidate = optimizer.ask()
        seen.append(candidate)
        with torch.no_grad():
            loss, metrics = loss_fn(xs, model)
        optimizer.tell(candidate, loss.item())
        return loss, metrics

    make(options={"optimize_step": step}).fit()
    assert len(seen) == 25


class Grid:
    """A search that is nobody's but ours."""

    def __init__(self, params: Any) -> None:
        self.params = list(params)
        self.best: Tensor | None = None
        self.best_loss = inf
        self.tried = 0

    def ask(self) -> Tensor:
        size = sum(p.numel() for p in self.params)
        return torch.full((size,), self.tried / 10, dtype=torch.float64)

    def tell(self, candidate: Tensor, loss: float) -> None:
        self.tried += 1
        if loss < self.best_loss:
            self.best, self.best_loss = candidate, loss

    def state_dict(self) -> dict[str, Any]:
        return {"tried": self.tried, "best": self.best, "best_loss": self.best_loss}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.tried, self.best, self.best_loss = state["tried"], state["best"], state["best_loss"]


def test_any_object_of_the_protocol(make: MakeTrainer, make_net: Net) -> None:
    model = make_net()
    search = Grid(model.parameters())
    assert isinstance(search, AskTell)
    trainer = make(model=model, optimizer=search)
    assert trainer.fit()[1] is search
    losses = [row["train_loss"] for row in trainer.history]
    assert search.best_loss == pytest.approx(min(losses))
    assert next(model.parameters()).unique().item() == pytest.approx(losses.index(min(losses)) / 10)


def test_parameters_of_the_loss_must_be_in_the_search(make: MakeTrainer, make_net: Net) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
            return mse_loss(batch, model)[0] + self.scale**2, {}

    model, loss_fn = make_net(), Scaled()
    with pytest.raises(TrainingError, match="Scaled has parameters of its own"):
        make(loss_fn, model=model)
    search = NevergradOptimizer([*model.parameters(), *loss_fn.parameters()], "CMA", seed=0)
    make(loss_fn, model=model, optimizer=search).fit()
    assert search.best is not None
    assert search.best[-1].item() == pytest.approx(loss_fn.scale.item())


def test_what_does_not_fit(make: MakeTrainer, make_net: Net) -> None:
    with pytest.raises(TrainingError, match=r"searches for 5 numbers, but there are 33"):
        make(optimizer=ng.optimizers.CMA(parametrization=5, budget=10))
    with pytest.raises(TrainingError, match="created for another model"):
        make(optimizer=NevergradOptimizer(make_net().parameters(), "CMA"))
    with pytest.raises(TrainingError, match="or the name of one; got the class Never"):
        make(optimizer=NevergradOptimizer)
    rates = LRSchedulerStepDecay("train_epoch_end", 1, gamma=0.5)
    with pytest.raises(CallbackError, match="NevergradOptimizer"):
        make(callbacks=[rates]).fit()


def test_settings_that_need_gradients() -> None:
    @dataclass
    class Settings:
        max_iter: int = 10
        grad_clip: float | None = None
        accumulate: int = 1

    check_search_settings(Settings(max_iter=3))
    check_search_settings(TrainConfig())
    with pytest.raises(ConfigError, match=r"accumulate=2, ema=0\.9: has no effect"):
        check_search_settings(TrainConfig(accumulate=2, ema=0.9))
    with pytest.raises(ConfigError, match=r"grad_clip=1\.0, accumulate=4: has no effect without"):
        check_search_settings(Settings(grad_clip=1.0, accumulate=4))
