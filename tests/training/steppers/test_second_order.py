"""Second-order optimizers in a trainer: what is refused, and trial points of a line search."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import Trainer
from perceptrain.callbacks import LRSchedulerCosineAnnealing
from perceptrain.errors import NonFiniteLossError, PerceptrainError, TrainingError
from perceptrain.optimizers import SSBroyden

from ...shared import same

MakeTrainer = Callable[..., Trainer]
DOUBLE: dict[str, Any] = {"dtype": torch.float64, "batch_size": 20}


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"precision": "bf16"}, "precision='bf16': SSBroyden compares losses to many digits"),
        ({"precision": "fp16"}, "SSBroyden evaluates the loss several times"),
        ({"grad_clip": 0.1}, "grad_clip=0.1.* SSBroyden chooses the length of its steps"),
        ({"grad_clip_value": 0.1}, "grad_clip_value=0.1: SSBroyden chooses"),
        ({"lr_scheduler": "cosine_annealing"}, "lr_scheduler sets learning rates, but SSBroyden"),
        (
            {"callbacks": [LRSchedulerCosineAnnealing("train_epoch_end", 1, 2)]},
            "sets learning rates, but SSBroyden is a second-order optimizer",
        ),
    ],
    ids=["bf16", "fp16", "grad_clip", "grad_clip_value", "lr_scheduler", "callback"],
)
def test_settings_that_make_no_sense(
    make_trainer: MakeTrainer, setting: dict[str, Any], message: str
) -> None:
    trainer = make_trainer(optimizer="ssbroyden", **DOUBLE, **setting)
    before = weights(trainer.model)
    with pytest.raises(PerceptrainError, match=message):
        trainer.fit()
    assert torch.equal(weights(trainer.model), before.double())


def test_is_the_optimizer_alone(
    make_trainer: MakeTrainer, make_net: Callable[..., nn.Module], rows: tuple[Tensor, Tensor]
) -> None:
    trainer = make_trainer(optimizer={"name": "ssbroyden", "max_iter": 5}, max_iter=4, **DOUBLE)
    trainer.fit()
    model = make_net().double()
    optimizer = SSBroyden(model.parameters(), max_iter=5)
    x, y = (each.double() for each in rows)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        return loss

    losses = [float(optimizer.step(closure).detach()) for _ in range(4)]
    assert same(trainer.model, model)
    assert [row["train_loss"] for row in trainer.history] == losses
    assert losses[-1] < 0.1 * losses[0]


class NotFinite:
    """A loss that is not finite at some of its evaluations."""

    def __init__(self, *calls: int) -> None:
        self.calls, self.call = calls, 0

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        self.call += 1
        loss = F.mse_loss(model(batch[0]), batch[1])
        return loss * (float("nan") if self.call in self.calls else 1.0), {}


@pytest.mark.parametrize("policy", ["raise", "skip", "ignore"])
def test_a_trial_that_is_not_finite_is_only_too_long(
    make_trainer: MakeTrainer, policy: str
) -> None:
    trainer = make_trainer(NotFinite(3), optimizer="ssbroyden", on_nonfinite=policy, **DOUBLE)
    plain = make_trainer(optimizer="ssbroyden", **DOUBLE)
    trainer.fit()
    plain.fit()
    assert trainer.global_step == 2
    assert trainer.history[0] == plain.history[0]
    assert not same(trainer.model, plain.model)
    assert trainer.history[1]["train_loss"] < trainer.history[0]["train_loss"]


def test_a_loss_that_is_not_finite_at_the_start_of_a_step(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(NotFinite(1), optimizer="ssbroyden", **DOUBLE)
    before = weights(trainer.model).double()
    with pytest.raises(NonFiniteLossError):
        trainer.fit()
    assert torch.equal(weights(trainer.model), before)


def test_a_loss_that_is_constant_ends_quietly(make_trainer: MakeTrainer) -> None:
    def flat(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        return 0.0 * model(batch[0]).sum() + 1.0, {}

    trainer = make_trainer(flat, optimizer="ssbroyden", **DOUBLE)
    before = weights(trainer.model).double()
    trainer.fit()
    assert torch.equal(weights(trainer.model), before)


def test_a_loss_that_changes_at_each_call_is_reported_once(make_trainer: MakeTrainer) -> None:
    calls = iter(range(1, 10_000))

    def rising(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        return F.mse_loss(model(batch[0]), batch[1]) + float(next(calls)), {}

    trainer = make_trainer(rising, optimizer="ssbroyden", max_iter=3, **DOUBLE)
    before = weights(trainer.model).double()
    with pytest.warns(UserWarning, match="found no lower loss") as seen:
        trainer.fit()
    assert len(seen) == 1
    assert torch.equal(weights(trainer.model), before)


def test_a_step_copies_no_matrix(make_trainer: MakeTrainer, monkeypatch: Any) -> None:
    trainer = make_trainer(optimizer="ssbroyden", **DOUBLE)
    trainer.fit()
    state = next(iter(trainer.optimizer.state.values()))
    matrix, address = state["inverse_hessian"], state["inverse_hessian"].data_ptr()
    sizes: list[int] = []
    clone = Tensor.clone
    monkeypatch.setattr(Tensor, "clone", lambda t, **o: sizes.append(t.numel()) or clone(t, **o))
    trainer.fit()
    assert max(sizes, default=0) < matrix.numel()
    assert state["inverse_hessian"].data_ptr() == address


@pytest.mark.parametrize("save_hessian", [True, False])
def test_resumes(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: Any, save_hessian: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    optimizer = {"name": "ssbroyden", "max_iter": 3, "save_hessian": save_hessian}
    setting = {"optimizer": optimizer, "checkpoint_every": 1, "log_folder": "run", **DOUBLE}
    whole = make_trainer(max_iter=5, **(setting | {"log_folder": "whole"}))
    whole.fit()
    make_trainer(max_iter=2, **setting).fit()
    resumed = make_trainer(max_iter=5, **setting)
    if save_hessian:
        resumed.fit(resume=True)
        assert same(whole.model, resumed.model)
        assert list(whole.history) == list(resumed.history)
        assert same(whole.optimizer.state_dict(), resumed.optimizer.state_dict())
    else:
        with pytest.warns(UserWarning, match="SSBroyden starts anew after 6 iterations"):
            resumed.fit(resume=True)
        assert not same(whole.model, resumed.model)
        assert resumed.history[4]["train_loss"] < resumed.history[1]["train_loss"]


def test_parameters_of_a_loss_are_trained_too(make_trainer: MakeTrainer) -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

        def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
            return F.mse_loss(self.scale * model(batch[0]), batch[1]), {}

    loss_fn = Scaled()
    trainer = make_trainer(loss_fn, optimizer="ssbroyden", **DOUBLE)
    trainer.fit()
    assert loss_fn.scale != 1
    assert len(trainer.optimizer.param_groups) == 2


def test_too_many_parameters_are_refused_at_the_start(make_trainer: MakeTrainer) -> None:
    with pytest.raises(TrainingError, match="max_parameters is 20"):
        make_trainer(optimizer={"name": "ssbroyden", "max_parameters": 20})


@pytest.mark.filterwarnings("ignore:The line search of SSBroyden:UserWarning")
@pytest.mark.parametrize(
    "optimizer",
    ["ssbroyden", {"name": "sequential", "optimizers": ["adam", "ssbroyden"], "milestones": [1]}],
    ids=["alone", "later"],
)
def test_a_step_for_each_row_is_told(make_trainer: MakeTrainer, optimizer: Any) -> None:
    trainer = make_trainer(optimizer=optimizer, max_iter=1, dtype=torch.float64, batch_size=1)
    with pytest.warns(UserWarning, match="SSBroyden minimizes the loss of one row of 20") as told:
        trainer.fit()
    assert "Set batch_size=20" in str(told[0].message)
    make_trainer(optimizer=optimizer, max_iter=1, **DOUBLE).fit()
