"""A loss that is NaN or infinite."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import Callback, Trainer, default_optimize_step
from perceptrain.errors import LossContractError, NonFiniteLossError, PerceptrainError
from perceptrain_core.training.contract.choice import make_guard
from perceptrain_core.training.contract.fused_guard import FusedLossGuard
from perceptrain_core.training.stop_signals import StopSignals

from ...shared import same

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]


class Failing:
    """A loss of two terms, of which one is bad at one evaluation."""

    def __init__(self, at: int, value: float = float("nan")) -> None:
        self.at, self.value, self.calls = at, value, 0
        self.before: list[Tensor] = []

    def __call__(self, batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        self.calls += 1
        fit = F.mse_loss(model(batch[0]), batch[1])
        decay = 1e-3 * sum(p.square().sum() for p in model.parameters())
        if self.calls == self.at:
            self.before = [p.detach().clone() for p in model.parameters()]
            decay = decay * self.value
        return fit + decay, {"fit": fit, "decay": decay, "number": 1.0}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_stops_before_the_step_and_names_term_epoch_and_batch(
    make_trainer: MakeTrainer, value: float, name: str
) -> None:
    """A NaN loss is not silently accepted."""
    loss_fn = Failing(at=7, value=value)
    trainer = make_trainer(loss_fn, optimizer={"name": name, "lr": 0.1}, max_iter=9)
    with pytest.raises(NonFiniteLossError) as caught:
        trainer.fit()
    assert isinstance(caught.value, ArithmeticError)
    assert isinstance(caught.value, PerceptrainError)
    message = str(caught.value)
    assert "in epoch 2, batch 3" in message
    assert f"(term 'decay' is {value})" in message
    assert "'fit'" not in message
    assert 'on_nonfinite="skip"' in message
    assert all(map(torch.equal, loss_fn.before, trainer.model.parameters()))
    assert all(p.isfinite().all() for p in trainer.model.parameters())
    assert (trainer.global_step, len(trainer.history)) == (6, 1)


def test_lbfgs_stops_where_the_step_began(make_trainer: MakeTrainer) -> None:
    loss_fn = Failing(at=4)
    trainer = make_trainer(loss_fn, optimizer={"name": "lbfgs", "lr": 0.5}, batch_size=20)
    before = [p.detach().clone() for p in trainer.model.parameters()]
    with pytest.raises(NonFiniteLossError, match="as they were before this batch"):
        trainer.fit()
    assert not all(map(torch.equal, loss_fn.before, before))
    assert all(map(torch.equal, before, trainer.model.parameters()))


def test_first_batch(make_trainer: MakeTrainer) -> None:
    with pytest.raises(NonFiniteLossError, match="in epoch 1, batch 1: the loss is nan"):
        make_trainer(Failing(at=1)).fit()


def test_skipping_leaves_the_batch_out(make_trainer: MakeTrainer) -> None:
    loss_fn, ended = Failing(at=3), []
    callback = Callback("train_batch_end", callback=lambda t, c, w: ended.append(t.batches_seen))
    trainer = make_trainer(loss_fn, on_nonfinite="skip", max_iter=1, callbacks=[callback])
    with pytest.warns(UserWarning, match="Epoch 1: 1 of 4 batches were skipped"):
        trainer.fit()
    assert (trainer.global_step, trainer.batches_seen) == (3, 4)
    assert ended == [1, 2, 4]

    kept = make_trainer(Failing(at=0), max_iter=1)
    x, y = trainer.train_dataloader
    kept.fit([(x[i : i + 5], y[i : i + 5]) for i in (0, 5, 15)])
    assert same(trainer.model, kept.model)
    assert trainer.history == kept.history


@pytest.mark.parametrize("policy", ["raise", "skip"])
def test_a_rate_that_is_too_high_is_named_first(make_trainer: MakeTrainer, policy: str) -> None:
    trainer = make_trainer(optimizer={"name": "sgd", "lr": 1e30}, max_iter=3, on_nonfinite=policy)
    message = r"have grown to \S+ \('.*weight'\): the learning rate is probably too high"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the first epoch has a batch that is not skipped
        with pytest.raises(NonFiniteLossError, match=message):
            trainer.fit()


def test_skipping_all(make_trainer: MakeTrainer) -> None:
    def never(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return model(batch[0]).sum() * float("nan"), {}

    trainer = make_trainer(never, on_nonfinite="skip")
    with pytest.raises(NonFiniteLossError, match="All 4 batches of epoch 1 were skipped"):
        trainer.fit()
    assert trainer.global_step == 0


def test_ignoring(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(Failing(at=3), on_nonfinite="ignore")
    trainer.fit()
    assert trainer.global_step == 8
    assert not any(p.isfinite().all() for p in trainer.model.parameters())


def test_a_validation_that_is_nan_is_reported(make_trainer: MakeTrainer, rows: Rows) -> None:
    trainer = make_trainer(Failing(at=6), val=rows, val_every=1, max_iter=1)
    expected = r"validation of epoch 1 is not finite: in batch 2 the loss is nan \(term 'decay'"
    with pytest.warns(UserWarning, match=expected):
        trainer.fit()
    assert trainer.history[0]["val_loss"] != trainer.history[0]["val_loss"]
    with pytest.warns(UserWarning, match="The test is not finite: in batch 4"):
        make_trainer(Failing(at=4, value=float("inf")), test=rows).test()


def root(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    """A loss that is finite, while its gradient at 0 is not; the third batch has zeros."""
    return (model(batch[0]) * batch[1]).abs().sum().sqrt(), {}


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
def test_skipping_leaves_out_gradients_that_are_nan(
    make_trainer: MakeTrainer, rows: Rows, accumulate: int, optimizer: str
) -> None:
    x, y = rows[0], rows[1].clone()
    y[10:15] = 0.0
    trainer = make_trainer(
        root, data=(x, y), on_nonfinite="skip", accumulate=accumulate, max_iter=1
    )
    trainer.optimizer = optimizer
    with pytest.warns(UserWarning, match=f"{accumulate} of 4 batches were skipped"):
        trainer.fit()
    assert all(parameter.isfinite().all() for parameter in trainer.model.parameters())
    assert trainer.global_step == 4 // accumulate - 1


def test_a_batch_whose_labels_are_all_ignored_says_so(make_trainer: MakeTrainer) -> None:
    x, labels = torch.randn(4, 2), torch.tensor([0, 1, -100, -100])
    model = nn.Linear(2, 3)
    trainer = make_trainer("cross_entropy", data=(x, labels), model=model, batch_size=2)
    with pytest.raises(NonFiniteLossError, match=r"batch 2: .* no label of the batch counts"):
        trainer.fit()


def test_a_constant_after_the_first_batch_is_named(make_trainer: MakeTrainer) -> None:
    calls = []

    def sometimes(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        calls.append(1)
        loss = F.mse_loss(model(batch[0]), batch[1])
        return (torch.tensor(0.0) if len(calls) == 3 else loss), {}

    expected = "in epoch 1, batch 3 has no graph: .*SkipBatch"
    with pytest.raises(LossContractError, match=expected):
        make_trainer(sometimes).fit()


def test_the_last_good_checkpoint_stays(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(Failing(at=7), checkpoint_every=1)
    with pytest.raises(NonFiniteLossError):
        trainer.fit()
    assert [path.name for path in trainer.log_folder.iterdir()] == ["checkpoint_epoch_000001.pt"]


# Fused optimizers on a GPU leave out the step by themselves; those of the CPU do it the same way.


@pytest.fixture
def fused(make_net: Callable[..., nn.Module]) -> tuple[nn.Module, torch.optim.Optimizer]:
    model = make_net()
    return model, torch.optim.Adam(model.parameters(), lr=0.1, fused=True)


def run(guard: FusedLossGuard, model: Any, optimizer: Any, rows: Rows, steps: int) -> None:
    for _ in range(steps):
        default_optimize_step(model, optimizer, guard, rows)


def test_fused_guard_changes_nothing_while_all_is_well(fused: Any, rows: Rows) -> None:
    model, optimizer = fused
    twin = type(model)([2, 8, 1], nn.Tanh())
    twin.load_state_dict(model.state_dict())
    other = torch.optim.Adam(twin.parameters(), lr=0.1, fused=True)
    loss_fn = Failing(at=0)
    run(FusedLossGuard(optimizer, loss_fn, lambda: "here"), model, optimizer, rows, 5)
    for _ in range(5):
        default_optimize_step(twin, other, loss_fn, rows)
    assert all(map(torch.equal, model.parameters(), twin.parameters()))


def test_fused_guard_freezes_the_parameters_until_it_looks(fused: Any, rows: Rows) -> None:
    model, optimizer = fused
    loss_fn, places = Failing(at=3), iter(range(1, 100))
    guard = FusedLossGuard(optimizer, loss_fn, lambda: f"in batch {next(places)}")
    run(guard, model, optimizer, rows, 6)  # nobody has looked yet
    assert all(map(torch.equal, loss_fn.before, model.parameters()))
    with pytest.raises(NonFiniteLossError, match=r"in batch 3: .*\(term 'decay' is nan\)"):
        guard.poll()
    assert not hasattr(optimizer, "found_inf")


def test_fused_guard_looks_now_and_then_and_keeps_little(fused: Any, rows: Rows) -> None:
    model, optimizer = fused
    guard = FusedLossGuard(optimizer, Failing(at=0), lambda: "here")
    run(guard, model, optimizer, rows, guard.POLL_EVERY + 10)
    assert len(guard._recent) == 10
    assert not any(loss.requires_grad for loss, _, _ in guard._recent)
    failing = FusedLossGuard(optimizer, Failing(at=1), lambda: "here")
    with pytest.raises(NonFiniteLossError):
        run(failing, model, optimizer, rows, guard.POLL_EVERY)
    guard.release()
    guard.release()


def test_fused_guard_is_for_fused_optimizers_on_a_gpu(fused: Any) -> None:
    model, optimizer = fused
    plain = torch.optim.Adam(model.parameters())
    assert FusedLossGuard.fits(optimizer, torch.device("cuda"))
    assert not FusedLossGuard.fits(plain, torch.device("cuda"))
    assert not FusedLossGuard.fits(optimizer, torch.device("cpu"))


@pytest.mark.parametrize("precision", ["full", "bf16", "fp16"])
def test_fused_guard_leaves_found_inf_to_a_scaler(
    make_trainer: MakeTrainer, precision: str
) -> None:
    trainer = make_trainer(
        optimizer={"name": "adam", "lr": 0.1, "fused": True}, precision=precision
    )
    engine: Any = SimpleNamespace(device=torch.device("cuda"), world_size=1)
    parts = trainer.loss_fn, trainer.optimizer
    guard = make_guard(trainer.config, engine, *parts, lambda: "here", StopSignals(False))
    assert isinstance(guard, FusedLossGuard) == (precision != "fp16")


class Rooted(nn.Module):
    """Finite, with a gradient that is not: that of a root at 0."""

    def forward(self, batch: Any, model: nn.Module) -> Any:
        return (model(batch[0]) * 0).sum().abs().sqrt(), {}


def test_a_ruined_model_is_no_checkpoint(make_trainer: Any) -> None:
    trainer = make_trainer(Rooted(), checkpoint_every=1, batch_size=20)
    with pytest.raises(NonFiniteLossError, match="is not finite in epoch 1, although"):
        trainer.fit()
    assert not list(trainer.log_folder.glob("*.pt"))


def test_a_model_that_the_last_step_ruined_is_reported(make_trainer: Any) -> None:
    with pytest.raises(NonFiniteLossError, match="is not finite in epoch 1, although"):
        make_trainer(Rooted(), batch_size=20, max_iter=1).fit()


def test_skipping_a_batch_of_parameters_that_stay(make_trainer: Any) -> None:
    def one_part(batch: Any, model: nn.Module) -> Any:
        first = next(model.parameters())
        return (first if batch[0].sum() > 0 else frozen).sum() ** 2, {}

    trainer = make_trainer(one_part, batch_size=5, on_nonfinite="skip")
    frozen = nn.Parameter(torch.ones(3, dtype=torch.float64))
    trainer.fit([(torch.ones(2, 1),), (-torch.ones(2, 1),)])
    assert trainer.global_step


def test_a_run_that_lost_its_parameters_says_so(make_trainer: Any) -> None:
    with pytest.raises(NonFiniteLossError, match="The parameters are not finite themselves"):
        make_trainer(Rooted(), batch_size=5).fit()


def test_skipping_protects_the_parameters_from_a_gradient_that_is_nan(make_trainer: Any) -> None:
    trainer = make_trainer(Rooted(), batch_size=5, on_nonfinite="skip")
    before = [parameter.detach().clone() for parameter in trainer.model.parameters()]
    with pytest.raises(NonFiniteLossError, match=r"All 4 batches .* its gradient was NaN"):
        trainer.fit()
    assert all(map(torch.equal, before, trainer.model.parameters()))
