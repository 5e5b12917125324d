"""Lower precision: the loss under autocast, gradients of half precision scaled."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from perceptrain import Callback, TrainConfig, Trainer
from perceptrain.callbacks import SaveCheckpoint
from perceptrain.errors import ConfigError, TrainingError

MakeTrainer = Callable[..., Trainer]
DTYPES = {"full": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@pytest.mark.parametrize("precision", DTYPES)
def test_the_loss_runs_in_that_precision_and_the_parameters_keep_theirs(
    make_trainer: MakeTrainer, rows: Any, precision: str
) -> None:
    seen: set[Any] = set()

    def loss(batch: Any, model: nn.Module) -> Any:
        outputs = model(batch[0])
        seen.add((model.training, outputs.dtype))
        return F.mse_loss(outputs.float(), batch[1]), {}

    trainer = make_trainer(loss, val=rows, val_every=1, precision=precision)
    trainer.fit()
    assert seen == {(True, DTYPES[precision]), (False, DTYPES[precision])}
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}
    assert not torch.is_autocast_enabled("cpu")


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_ends_near_the_run_in_full_precision(make_trainer: MakeTrainer, precision: str) -> None:
    trainers = [make_trainer(max_iter=30, precision=kind) for kind in ("full", precision)]
    for trainer in trainers:
        trainer.fit()
    full, low = (trainer.history[-1]["train_loss"] for trainer in trainers)
    assert low == pytest.approx(full, rel=0.1)
    assert low != full


def test_gradients_that_would_vanish_are_kept_by_scaling(make_trainer: MakeTrainer) -> None:
    """Without a scale, 1e-9 is zero in half precision."""

    def tiny(batch: Any, model: nn.Module) -> Any:
        return model(batch[0]).float().sum() * 1e-9, {}

    trainer = make_trainer(tiny, precision="fp16", max_iter=1)
    trainer.fit()
    assert trainer.grad_scaler.get_scale() == 65536
    gradients = [p.grad for p in trainer.model.parameters()]
    assert all(g.any() for g in gradients)
    trainer.model.zero_grad()
    with torch.autocast("cpu", torch.float16):
        tiny(trainer.train_dataloader, trainer.model)[0].backward()
    assert not next(trainer.model.parameters()).grad.any()


def test_scaled_gradients_are_clipped_at_their_own_size(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(precision="fp16", grad_clip=0.01, max_iter=1, accumulate=2)
    trainer.fit()
    gradient = torch.cat([p.grad.flatten() for p in trainer.model.parameters()])
    assert gradient.norm().item() == pytest.approx(0.01, rel=1e-3)


def test_a_step_that_the_scaler_leaves_out_does_not_count(make_trainer: MakeTrainer) -> None:
    """Gradients overflow with the first scales, until those are low enough."""
    weights: list[torch.Tensor] = []

    def steep(batch: Any, model: nn.Module) -> Any:
        return model(batch[0]).float().square().sum() * 1e3, {}

    def note(trainer: Any, config: Any, writer: Any) -> None:
        weights.append(torch.cat([p.detach().flatten() for p in trainer.model.parameters()]))

    trainer = make_trainer(
        steep,
        precision="fp16",
        max_iter=3,
        ema=0.9,
        lr_scheduler={"name": "exponential", "gamma": 0.5, "interval": "batch"},
        callbacks=[Callback(stage, 1, note) for stage in ("train_start", "train_batch_end")],
    )
    trainer.fit()
    steps = sum(not torch.equal(a, b) for a, b in pairwise(weights))
    assert 0 < steps < trainer.batches_seen == 12
    assert trainer.global_step == steps
    assert trainer.schedule.scheduler.last_epoch == steps
    assert trainer.averaged_model.n_averaged == steps


def test_the_scale_survives_a_resume(make_trainer: MakeTrainer) -> None:
    def trainer(epochs: int, folder: str) -> Trainer:
        save = SaveCheckpoint("train_epoch_end", 1)
        return make_trainer(precision="fp16", max_iter=epochs, log_folder=folder, callbacks=[save])

    whole = trainer(4, "whole")
    whole.fit()
    first = trainer(2, "parts")
    first.fit()
    again = trainer(4, "parts")
    again.fit(resume=True)
    assert again.grad_scaler.state_dict() == whole.grad_scaler.state_dict()
    assert again.history == whole.history


def test_a_loss_that_is_a_module_is_in_evaluation_mode(
    make_trainer: MakeTrainer, rows: Any
) -> None:
    modes: set[tuple[bool, bool]] = set()

    class Loss(nn.Module):
        def forward(self, batch: Any, model: nn.Module) -> Any:
            modes.add((model.training, self.training))
            return F.mse_loss(model(batch[0]).float(), batch[1]), {}

    make_trainer(Loss(), val=rows, val_every=1, precision="bf16").fit()
    assert modes == {(True, True), (False, False)}


def test_other_names() -> None:
    assert TrainConfig(precision="bf16-mixed").precision == "bf16"
    assert TrainConfig(precision="fp16-mixed").precision == "fp16"
    assert TrainConfig(precision="16-mixed").precision == "fp16"


def test_everything_is_stored_in_bfloat16(make_trainer: MakeTrainer, rows: Any) -> None:
    seen: set[torch.dtype] = set()

    def loss(batch: Any, model: nn.Module) -> Any:
        outputs = model(batch[0])
        seen.update([batch[0].dtype, batch[1].dtype, outputs.dtype])
        return F.mse_loss(outputs, batch[1]), {}

    trainer = make_trainer(loss, val=rows, val_every=1, precision="bf16-true", max_iter=30)
    trainer.fit()
    state = trainer.optimizer.state_dict()["state"]
    seen |= {state[number][name].dtype for number in state for name in ("exp_avg", "exp_avg_sq")}
    parameters = [*trainer.model.parameters()]
    seen |= {p.dtype for p in parameters} | {p.grad.dtype for p in parameters}
    assert seen == {torch.bfloat16}
    full = make_trainer("mse", max_iter=30)
    full.fit()
    last = full.history[-1]["train_loss"]
    assert trainer.history[-1]["train_loss"] == pytest.approx(last, rel=0.1)


def test_predictions_are_float32(make_trainer: MakeTrainer, rows: Any) -> None:
    trainer = make_trainer(precision="bf16-true")
    trainer.fit()
    found = trainer.predict(rows[0]).values
    with torch.no_grad():
        expected = trainer.model(rows[0].bfloat16())
    assert found.dtype == torch.float32
    assert torch.equal(found, expected.float())


def test_the_engine_follows_the_setting(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer()
    trainer.config.precision = "bf16-true"
    trainer.fit()
    assert {p.dtype for p in trainer.model.parameters()} == {torch.bfloat16}


def test_a_run_in_bfloat16_resumes(make_trainer: MakeTrainer) -> None:
    def trainer(epochs: int, folder: str) -> Trainer:
        save = SaveCheckpoint("train_epoch_end", 1)
        settings: dict[str, Any] = {"max_iter": epochs, "log_folder": folder, "callbacks": [save]}
        return make_trainer(precision="bf16-true", **settings)

    whole, again = trainer(4, "whole"), trainer(4, "parts")
    whole.fit()
    trainer(2, "parts").fit()
    again.fit(resume=True)
    assert again.history == whole.history
    for found, expected in zip(again.model.parameters(), whole.model.parameters(), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("optimizer", ["lbfgs", {"name": "adam_lbfgs", "switch_epoch": 2}])
def test_line_searches_in_bfloat16(make_trainer: MakeTrainer, optimizer: Any) -> None:
    trainer = make_trainer(optimizer=optimizer, precision="bf16-true", batch_size=20, max_iter=4)
    trainer.fit()
    assert trainer.history[-1]["train_loss"] < trainer.history[0]["train_loss"]


@pytest.mark.parametrize("optimizer", ["ssbroyden", "gauss_newton"])
def test_second_order_optimizers_need_digits(make_trainer: MakeTrainer, optimizer: str) -> None:
    with pytest.raises(TrainingError, match="precision='bf16-true'"):
        make_trainer(optimizer=optimizer, precision="bf16-true").fit()


def test_another_dtype_is_refused() -> None:
    assert TrainConfig(precision="bf16-true", dtype="bfloat16").float_dtype == torch.bfloat16
    message = 'precision="bf16-true" stores the model in bfloat16, and dtype is torch.float64'
    with pytest.raises(ConfigError, match=message):
        TrainConfig(precision="bf16-true", dtype="float64")
    config = TrainConfig(dtype="float64")
    with pytest.raises(ConfigError, match=message):
        config.precision = "bf16-true"
    config = TrainConfig(precision="bf16-true")
    with pytest.raises(ConfigError, match=message):
        config.dtype = torch.float64


def test_what_cannot_be(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ConfigError, match="precision"):
        make_trainer(precision="fp8")


@pytest.mark.parametrize("optimizer", ["lbfgs", {"name": "adam_lbfgs", "switch_epoch": 2}])
def test_what_cannot_be_scaled_is_refused_at_the_start(
    make_trainer: MakeTrainer, optimizer: Any
) -> None:
    trainer = make_trainer(optimizer=optimizer, precision="fp16")
    with pytest.raises(TrainingError, match=r"LBFGS evaluates .* gradients cannot be scaled"):
        trainer.fit()
    assert trainer.global_step == 0
