"""What `find_lr`, `overfit_batch` and `profile` leave behind: nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import LBFGS, SGD, Adam, Optimizer

from perceptrain import Callback, DictDataLoader, Trainer, to_dataloader
from perceptrain.errors import TrainingError
from perceptrain.loss.loss import GradWeightedLoss
from perceptrain.optimizers import AdamLBFGS
from perceptrain_core.random_state import seed_everything

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]
TRIALS: dict[str, Callable[..., Any]] = {
    "find_lr": lambda trainer: trainer.find_lr(steps=7, min_lr=1e-3, max_lr=0.1),
    "overfit_batch": lambda trainer: trainer.overfit_batch(steps=7),
    # The first of its seven steps is not measured.
    "profile": lambda trainer: trainer.profile(steps=6, callbacks=False),
}


class Remembering(nn.Module):
    """Buffers of every sort, a random forward pass, and layers in modes of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)
        self.frozen = nn.Sequential(nn.Dropout(0.5), nn.BatchNorm1d(8)).eval()
        self.register_buffer("calls", torch.zeros(()), persistent=False)
        self.register_buffer("latest", None)

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        self.latest = x
        return self.last(F.dropout(self.frozen(self.norm(self.first(x)).tanh()), 0.1))


def terms(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    """Two terms, and a draw from every random generator."""
    fit = F.mse_loss(model(batch[0]), batch[1]) * (1 + 0.1 * random.random() * np.random.rand())
    decay = sum((p.square().sum() for p in model.parameters()), torch.zeros(()))
    return fit + decay, {"fit": fit, "decay": decay}


def plain(value: Any) -> Any:
    """Give what can be compared by ``==``, bit for bit."""
    if isinstance(value, Tensor):
        return str(value.dtype), tuple(value.shape), value.detach().numpy().tobytes()
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.tobytes() if isinstance(value, np.ndarray) else value


def everything(trainer: Trainer, *generators: torch.Generator) -> Any:
    model, loss_fn = trainer.model, trainer.loss_fn
    return plain(
        {
            "model": model.state_dict(),
            "buffers": [(n, m._buffers) for n, m in model.named_modules()],
            "modes": [module.training for module in model.modules()],
            "gradients": [p.grad for p in model.parameters()],
            "optimizer": trainer.optimizer.state_dict(),
            "loss": loss_fn.state_dict() if hasattr(loss_fn, "state_dict") else None,
            "random": [random.getstate(), np.random.get_state(), torch.get_rng_state()],
            "generators": [generator.get_state() for generator in generators],
            "run": (trainer.current_epoch, trainer.global_step, trainer.history),
        }
    )


OPTIMIZERS: dict[str, Callable[[nn.Module], Optimizer]] = {
    "adam": lambda model: Adam(model.parameters()),
    "momentum": lambda model: SGD(model.parameters(), lr=0.01, momentum=0.9),
    "groups": lambda model: SGD(
        [{"params": [p], "lr": 0.1 / n} for n, p in enumerate(model.parameters(), 1)]
    ),
    "a tensor": lambda model: Adam(model.parameters(), lr=torch.tensor(0.01), foreach=False),
    "lbfgs": lambda model: LBFGS(model.parameters(), lr=0.01, max_iter=4),
    "adam_lbfgs": lambda model: AdamLBFGS(model.parameters(), 1, {}, {"lr": 0.01, "max_iter": 4}),
}
# Each optimizer after a fit, and each trial of a trainer that is new.
CASES = [*zip([*TRIALS] * 2, OPTIMIZERS, [True] * 6, strict=True)]
CASES += [(name, "a tensor", False) for name in TRIALS]
CASES += [("find_lr", "lbfgs", True), ("profile", "lbfgs", False)]


@pytest.mark.parametrize(("name", "kind", "warm"), CASES)
def test_everything_is_as_it_was(
    make_trainer: MakeTrainer, rows: Rows, here: Path, name: str, kind: str, warm: bool
) -> None:
    seed_everything(0)
    generator = torch.Generator().manual_seed(3)
    data = to_dataloader(*rows, batch_size=5, shuffle=True, generator=generator)
    model, told = Remembering(), []
    callbacks = [
        Callback(stage, callback=lambda *_: told.append(1))
        for stage in ("train_start", "train_batch_end", "train_epoch_start")
    ]
    trainer = make_trainer(
        GradWeightedLoss(unweighted_loss_function=terms, fixed_metric="fit"),
        data=data,
        model=model,
        optimizer=OPTIMIZERS[kind](model),
        callbacks=callbacks if not warm else [],
        max_iter=3,
    )
    if warm:
        trainer.fit()
        assert trainer.optimizer.state or kind == "groups"
        model.first.weight.grad = torch.ones(8, 2)
    before = everything(trainer, generator)
    TRIALS[name](trainer)
    assert everything(trainer, generator) == before
    assert list(here.iterdir()) == []
    assert told == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
@pytest.mark.parametrize("name", TRIALS)
def test_also_when_it_ends_early(
    make_trainer: MakeTrainer, name: str, error: type[BaseException]
) -> None:
    calls = 0

    def failing(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        nonlocal calls
        calls += 1
        if calls == 20:
            raise error
        return terms(batch, model)

    trainer = make_trainer(failing, model=Remembering())
    trainer.fit()
    before = everything(trainer)
    calls = 15
    with pytest.raises(error):
        TRIALS[name](trainer)
    assert everything(trainer) == before


@pytest.mark.parametrize("name", TRIALS)
def test_a_fit_after_it_is_the_fit_without_it(
    make_trainer: MakeTrainer, rows: Rows, name: str
) -> None:
    histories = []
    for tried in (False, True):
        torch.manual_seed(5)
        parts = {
            key: to_dataloader(rows[0][:size], batch_size=3, infinite=infinite, shuffle=True)
            for key, size, infinite in (("a", 9, False), ("b", 20, True))
        }
        trainer = make_trainer(
            lambda batch, model: (model(batch["a"]).square().mean() + model(batch["b"]).mean(), {}),
            data=DictDataLoader(parts),
        )
        if tried:
            TRIALS[name](trainer)
        trainer.fit()
        histories.append(trainer.history)
    assert histories[0] == histories[1]


class Counting:
    """A loss that is no module, and has a state."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        self.calls += 1
        return F.mse_loss(model(batch[0]), batch[1]), {}

    def state_dict(self) -> dict[str, Any]:
        return {"calls": self.calls}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.calls = state["calls"]


@pytest.mark.parametrize("name", TRIALS)
def test_a_loss_that_is_no_module(make_trainer: MakeTrainer, name: str) -> None:
    loss_fn = Counting()
    trainer = make_trainer(loss_fn)
    trainer.fit()
    calls = loss_fn.calls
    assert calls > 0
    TRIALS[name](trainer)
    assert loss_fn.calls == calls


@pytest.mark.parametrize("name", TRIALS)
def test_a_parameter_that_only_the_optimizer_knows(make_trainer: MakeTrainer, name: str) -> None:
    free = nn.Parameter(torch.ones(()))
    trainer = make_trainer(lambda batch, model: ((model(batch[0]) * free).square().mean(), {}))
    trainer.optimizer.add_param_group({"params": [free]})
    TRIALS[name](trainer)
    assert free.item() == 1
    assert free.grad is None


@pytest.mark.parametrize("name", TRIALS)
def test_without_an_optimizer(make_net: Any, make_trainer: MakeTrainer, name: str) -> None:
    trainer = make_trainer()
    trainer.optimizer = None
    with pytest.raises(TrainingError, match="needs an optimizer"):
        TRIALS[name](trainer)


@pytest.mark.parametrize("name", TRIALS)
def test_the_trainer_takes_the_steps(make_trainer: MakeTrainer, name: str) -> None:
    taken = []

    def mine(model: Any, optimizer: Any, loss_fn: Any, xs: Any, device: Any, dtype: Any) -> Any:
        optimizer.zero_grad()
        loss, metrics = loss_fn(xs, model)
        loss.backward()
        taken.append(optimizer.param_groups[0]["lr"])
        return loss, metrics

    TRIALS[name](make_trainer(options={"optimize_step": mine}))
    assert len(taken) == 7


@pytest.mark.parametrize("name", TRIALS)
def test_a_search_without_gradients_is_told_what_to_do(
    make_trainer: MakeTrainer, name: str
) -> None:
    trainer = make_trainer(optimizer={"name": "cma", "seed": 1}, batch_size=20)
    with pytest.raises(TrainingError, match=r"NevergradOptimizer, uses none.*enable_grad_opt"):
        TRIALS[name](trainer)
    with trainer.enable_grad_opt({"name": "adam", "lr": 1e-3}):
        TRIALS[name](trainer)
    trainer.fit()
