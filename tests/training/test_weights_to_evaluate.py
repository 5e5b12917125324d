"""Optimizers that evaluate other weights than they train: who sees which weights, and when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, TrainConfig, Trainer
from perceptrain.callbacks import Callback, EarlyStopping, LoadCheckpoint, SaveCheckpoint
from perceptrain.errors import TrainingError
from perceptrain_core.checkpoints.saveload import load_checkpoint, load_model
from perceptrain_core.optimizer_modes import is_training
from perceptrain_core.optimizers import CombinedOptimizer, SequentialOptimizer

from ..schedule_free import ScheduleFree
from ..shared import same


def rows(seed: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(24, 2, generator=torch.Generator().manual_seed(seed))
    return x, x.square().sum(1, keepdim=True)


def trainer(epochs: int = 3, optimizer: Any = ScheduleFree, **options: Any) -> Trainer:
    torch.manual_seed(0)
    model = FFNN([2, 8, 1], "tanh")
    options = {"verbose": False, "batch_size": 8, "seed": 1, "shuffle": True, **options}
    config = TrainConfig(max_iter=epochs, **options)
    return Trainer(model, optimizer(model.parameters()), config, "mse", rows(0), rows(1))


def averaged(trained: Trainer) -> list[Tensor]:
    """The weights x of y = b x + (1 - b) z."""
    state, b = trained.optimizer.state, trained.optimizer.param_groups[0]["b"]
    return [(p - (1 - b) * state[p]["z"]) / b for p in trained.model.parameters()]


def mse(model: nn.Module) -> float:
    x, y = rows(1)
    with torch.no_grad():
        return float((model(x) - y).square().mean())


class Looks(Callback):
    """Compare what is evaluated with the weights x, at the end of each epoch."""

    stages = frozenset({"train_epoch_end"})

    def __init__(self) -> None:
        super().__init__("train_epoch_end")
        self.seen: list[tuple[float, float, float]] = []

    def run_callback(self, trainer: Any, config: TrainConfig, writer: Any) -> None:
        kept = [p.clone() for p in trainer.model.parameters()]
        assert is_training(trainer.optimizer)
        predicted = trainer.predict(rows(1)[0]).values - rows(1)[1]
        assert all(map(torch.equal, kept, trainer.model.parameters()))
        x = averaged(trainer)
        with torch.no_grad():
            for p, value in zip(trainer.model.parameters(), x, strict=True):
                p.copy_(value)
            expected = mse(trainer.model)
            for p, value in zip(trainer.model.parameters(), kept, strict=True):
                p.copy_(value)
        validated = float(trainer.history[-1]["val_loss"])
        self.seen.append((expected, validated, float(predicted.square().mean())))


def test_validations_and_predictions_use_the_weights_to_evaluate() -> None:
    looks = Looks()
    trainer(callbacks=[looks], val_every=1).fit()
    assert len(looks.seen) == 3
    for expected, *found in looks.seen:
        assert found == pytest.approx([expected] * 2, rel=1e-5)


def test_a_validation_does_not_change_the_training() -> None:
    validated, alone = trainer(val_every_steps=2), trainer()
    for each in (validated, alone):
        each.fit()
    pairs = zip(validated.model.parameters(), alone.model.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    assert len(validated.validations) == 4


def test_the_fit_leaves_the_weights_to_evaluate() -> None:
    trained = trainer(val_every=1)
    trained.fit()
    assert not is_training(trained.optimizer)
    for figure in (trained.validate()["val_loss"], trained.test(rows(1)).means["test_loss"]):
        assert figure == trained.history[-1]["val_loss"]
    assert mse(trained.model) == pytest.approx(trained.history[-1]["val_loss"], rel=1e-6)
    trained.config.max_iter = 2
    assert trained.fit().history[-1]["train_loss"] < trained.history[0]["train_loss"]


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    whole, part = trainer(6), trainer(3, callbacks=[SaveCheckpoint()], log_folder=tmp_path)
    whole.fit()
    part.fit()
    resumed = trainer(6, log_folder=tmp_path)
    resumed.fit(resume=part.log_folder)
    pairs = zip(whole.model.parameters(), resumed.model.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)
    assert resumed.history == whole.history


def test_a_checkpoint_is_loaded_with_the_weights_to_evaluate(tmp_path: Path) -> None:
    trained = trainer(3, callbacks=[SaveCheckpoint()], log_folder=tmp_path, val_every=1)
    trained.fit()
    expected = pytest.approx(mse(trained.model), rel=1e-6)
    assert mse(load_model(trained.log_folder, FFNN([2, 8, 1], "tanh"))) == expected
    model = FFNN([2, 8, 1], "tanh")
    optimizer = ScheduleFree(model.parameters())
    load_checkpoint(trained.log_folder, model, optimizer)
    assert mse(model) == expected
    assert not is_training(optimizer)
    again = trainer(1, callbacks=[LoadCheckpoint(path=trained.log_folder)])
    again.fit()
    assert again.history[0]["train_loss"] < trained.history[1]["train_loss"]


def test_early_stopping_restores_the_weights_that_were_evaluated() -> None:
    stopping = EarlyStopping(monitor="val_loss", patience=2, restore_best=True)
    trained = trainer(40, lambda p: ScheduleFree(p, lr=1.0), callbacks=[stopping], val_every=1)
    trained.fit()
    best = min(row["val_loss"] for row in trained.history)
    assert best < trained.history[-1]["val_loss"]
    assert mse(trained.model) == pytest.approx(best, rel=1e-6)


def test_a_trial_leaves_the_mode_and_the_weights() -> None:
    trained = trainer()
    trained.fit()
    before = [p.clone() for p in trained.model.parameters()]
    trained.overfit_batch(steps=5)
    assert all(map(torch.equal, before, trained.model.parameters()))
    assert not is_training(trained.optimizer)


def test_one_of_several_optimizers_may_have_modes() -> None:
    def several(parameters: Any) -> CombinedOptimizer:
        first, *others = parameters
        return CombinedOptimizer(
            {"free": ScheduleFree([first]), "sgd": torch.optim.SGD(others, lr=0.1)}
        )

    trained = trainer(3, several, val_every=1)
    trained.fit()
    assert not is_training(trained.optimizer)
    assert mse(trained.model) == pytest.approx(trained.history[-1]["val_loss"], rel=1e-6)


def test_an_average_of_an_average_is_refused() -> None:
    with pytest.raises(TrainingError, match="ScheduleFree averages the weights itself"):
        trainer(ema=0.99).fit()


def sequence(params: Any) -> SequentialOptimizer:
    """A schedule-free optimizer between two others."""
    params = [*params]
    sgd = {"name": "sgd", "lr": 0.05}
    return SequentialOptimizer(params, [sgd, ScheduleFree(params), sgd], [1, 3])


class Starts(Callback):
    """Keep the weights at the start of each epoch, and whether they are those to train."""

    def __init__(self) -> None:
        super().__init__("train_epoch_start")
        self.modes: list[bool] = []
        self.weights: list[list[Tensor]] = []

    def run_callback(self, trainer: Any, config: TrainConfig, writer: Any) -> None:
        self.modes.append(is_training(trainer.optimizer))
        self.weights.append([p.detach().clone() for p in trainer.model.parameters()])


def test_a_stage_of_a_sequence_leaves_the_weights_to_evaluate() -> None:
    starts, short = Starts(), trainer(3, sequence)
    whole = trainer(4, sequence, callbacks=[starts], val_every=1)
    whole.fit()
    short.fit()
    assert starts.modes[1:] == [True, True, False]
    assert same([*short.model.parameters()], starts.weights[3])
    assert not same(starts.weights[1], starts.weights[2])
    assert mse(whole.model) == pytest.approx(whole.history[-1]["val_loss"], rel=1e-6)


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_a_sequence_resumes(tmp_path: Path, epochs: int) -> None:
    whole = trainer(5, sequence)
    part = trainer(epochs, sequence, callbacks=[SaveCheckpoint()], log_folder=tmp_path)
    whole.fit()
    part.fit()
    resumed = trainer(5, sequence, log_folder=tmp_path)
    resumed.fit(resume=part.log_folder)
    assert same(whole.model, resumed.model)
    assert resumed.history == whole.history
