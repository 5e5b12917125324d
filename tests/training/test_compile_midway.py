"""With ``compile=True``, what is changed while training counts from the next step on."""

from __future__ import annotations

import enum
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from perceptrain import Callback, SkipBatch, TrainConfig, Trainer
from perceptrain_core.capture import program
from perceptrain_core.training.steppers import capture_choice

WEIGHT = 1.0


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run graphs as they are: compiling takes seconds."""
    monkeypatch.setattr(program, "_compiled", lambda graph, inputs: graph)


def mean_square(batch: Any, model: nn.Module) -> Tensor:
    return (model(batch[0]) - batch[1]).square().mean()


def plain(batch: Any, model: nn.Module) -> Any:
    return mean_square(batch, model), {}


class Mode(enum.Enum):
    SMALL = 1.0
    LARGE = 3.0


class Settings:
    weight = 1.0


class Weighted:
    """A loss whose weight is found in many places."""

    def __init__(self) -> None:
        self.mode, self.chosen, self.array = Mode.SMALL, {"a"}, np.ones(2)

    @property
    def factor(self) -> float:
        return WEIGHT

    def helped(self) -> float:
        return Settings.weight * self.mode.value

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        size = len(self.chosen) * float(self.array[1])
        return self.factor * self.helped() * size * mean_square(batch, model), {}


def run(
    compile: bool,
    change: Callable[[Trainer], object],
    loss: Any = plain,
    optimizer: type = torch.optim.Adam,
    data: Any = None,
    prepare: Callable[[Any], object] = lambda model: None,
) -> Trainer:
    """Train for 12 epochs of 5 batches, with a change after the fourth."""
    global WEIGHT
    WEIGHT, Settings.weight = 1.0, 1.0
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1)).double()
    prepare(model)
    trainers: list[Trainer] = []

    def act(*_: Any) -> None:
        if trainers[0].current_epoch == 4:
            change(trainers[0])

    config = TrainConfig(
        max_iter=12,
        compile=compile,
        verbose=False,
        tracking_tool="none",
        callbacks=[Callback(on="train_epoch_end", called_every=1, callback=act)],
    )
    trainers.append(Trainer(model, optimizer(model.parameters(), lr=0.01), config, loss_fn=loss))
    if data is None:
        x = torch.randn(50, 3, dtype=torch.float64)
        data = [(rows, rows.prod(1, keepdim=True)) for rows in x.split(10)]
    with warnings.catch_warnings():
        if compile:  # a step that is not captured is fine here, but it must be right
            warnings.filterwarnings("ignore", message="compile=True")
        trainers[0].fit(data)
    return trainers[0]


def assert_same(captured: Trainer, eager: Trainer) -> None:
    for one, other in zip(captured.model.parameters(), eager.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    for row, expected in zip(captured.history, eager.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-9)


def freeze(trainer: Trainer) -> None:
    trainer.model[0].requires_grad_(False)


def add_a_group(trainer: Trainer) -> None:
    model, optimizer = trainer.model, trainer.optimizer
    optimizer.param_groups[0]["params"] = [*model[2].parameters()]
    optimizer.add_param_group({"params": [*model[0].parameters()], "lr": 0.5})


def reload_the_optimizer(trainer: Trainer) -> None:
    trainer.optimizer.load_state_dict(deepcopy(trainer.optimizer.state_dict()))
    trainer.optimizer.param_groups[0]["lr"] = 0.1


def decay(trainer: Trainer) -> None:
    trainer.optimizer.param_groups[0]["weight_decay"] = 0.5


def replace_a_group(trainer: Trainer) -> None:
    groups = trainer.optimizer.param_groups
    groups[0] = {**groups[0], "weight_decay": 0.5}


def replace_the_groups(trainer: Trainer) -> None:
    (group,) = trainer.optimizer.param_groups
    trainer.optimizer.param_groups = [{**group, "weight_decay": 0.5}]


def copy_an_option(trainer: Trainer) -> None:
    trainer.optimizer.param_groups[0]["weight_decay"] = float("0")  # equal, not the same
    trainer.optimizer.param_groups[0]["lr"] = 0.1


def forget_the_state_of_a_parameter(trainer: Trainer) -> None:
    trainer.optimizer.state.pop(trainer.model[2].bias, None)


def replace_the_state_of_a_parameter(trainer: Trainer) -> None:
    state = trainer.optimizer.state
    if state:
        state[trainer.model[0].weight] = deepcopy(state[trainer.model[2].weight])
        state[trainer.model[0].weight]["exp_avg"] = torch.zeros(6, 3, dtype=torch.float64)
        state[trainer.model[0].weight]["exp_avg_sq"] = torch.ones(6, 3, dtype=torch.float64)


def replace_a_tensor_of_the_state(trainer: Trainer) -> None:
    for state in trainer.optimizer.state.values():
        state["exp_avg"] = 2 * state["exp_avg"]


def hook_a_module(trainer: Trainer) -> None:
    trainer.model[1].register_forward_hook(lambda module, inputs, output: 2 * output)


def hook_a_parameter(trainer: Trainer) -> None:
    trainer.model[0].weight.register_hook(lambda gradient: 3 * gradient)


def hook_the_optimizer(trainer: Trainer) -> None:
    def double(optimizer: Any, *_: Any) -> None:
        optimizer.param_groups[0]["params"][0].grad *= 2

    trainer.optimizer.register_step_pre_hook(double)


def replace_the_activation(trainer: Trainer) -> None:
    trainer.model[1] = nn.ReLU()


def overwrite_data(trainer: Trainer) -> None:
    trainer.model[0].weight.data *= 0.5


OF_ADAM = [
    freeze,
    add_a_group,
    decay,
    copy_an_option,
    reload_the_optimizer,
    forget_the_state_of_a_parameter,
    replace_the_state_of_a_parameter,
    replace_a_tensor_of_the_state,
    hook_a_module,
    hook_a_parameter,
    hook_the_optimizer,
    replace_the_activation,
    overwrite_data,
]
OF_SGD = [add_a_group, replace_a_group, replace_the_groups]  # it has no state


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "change"),
    [
        *((torch.optim.Adam, change) for change in OF_ADAM),
        *((torch.optim.SGD, change) for change in OF_SGD),
    ],
)
def test_the_model_and_the_optimizer(optimizer: type, change: Any) -> None:
    assert_same(run(True, change, optimizer=optimizer), run(False, change, optimizer=optimizer))


@pytest.mark.slow
def test_the_betas_of_adam() -> None:
    def change(trainer: Trainer) -> None:
        trainer.optimizer.param_groups[0]["betas"] = (0.5, 0.9)

    assert_same(run(True, change), run(False, change))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_a_layer_that_is_frozen_at_first(optimizer: type) -> None:
    def trained(compile: bool) -> Trainer:
        return run(
            compile,
            lambda trainer: trainer.model[0].requires_grad_(True),
            optimizer=optimizer,
            prepare=lambda model: model[0].requires_grad_(False),
        )

    assert_same(trained(True), trained(False))


def set_global(loss: Weighted) -> None:
    global WEIGHT
    WEIGHT = 3.0


CHANGES: list[Callable[[Weighted], object]] = [
    set_global,
    lambda loss: setattr(Settings, "weight", 3.0),
    lambda loss: setattr(loss, "mode", Mode.LARGE),
    lambda loss: loss.chosen.add("b"),
    lambda loss: loss.array.__setitem__(1, 5.0),
]


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_values_of_the_loss(change: Callable[[Weighted], object]) -> None:
    trainers = []
    for compile in (True, False):
        loss = Weighted()
        trainers.append(run(compile, lambda _, own=loss: change(own), loss, torch.optim.SGD))
    assert_same(*trainers)


def nothing(trainer: Trainer) -> None:
    pass


def pops(batch: Any, model: nn.Module) -> Any:
    y = batch.pop("y")
    return mean_square((batch["x"], y), model), {}


def replaces(batch: Any, model: nn.Module) -> Any:
    batch["x"] = 2 * batch["x"]
    return mean_square((batch["x"], batch["y"]), model), {}


def reentrant(batch: Any, model: nn.Module) -> Any:
    hidden = checkpoint(model[0], batch["x"].clone().requires_grad_(), use_reentrant=True)
    return (model[2](model[1](hidden)) - batch["y"]).square().mean(), {}


def skips_some(batch: Any, model: nn.Module) -> Any:
    if len(batch["x"]) < 10:
        raise SkipBatch
    return mean_square((batch["x"], batch["y"]), model), {}


class KeepsPoints:
    """Keeps the tensor of the first batch, and uses it with every other."""

    def __init__(self) -> None:
        self.points: Tensor | None = None

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        if self.points is None:
            self.points = batch["x"]
        return mean_square((batch["x"], batch["y"]), model) + model(self.points).square().mean(), {}


class CountsSteps:
    """Told of each step, and only once."""

    def __init__(self) -> None:
        self.steps = 0

    def begin_step(self) -> None:
        self.steps += 1

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        return mean_square((batch["x"], batch["y"]), model) / self.steps, {}


class Batches:
    """New dicts in each epoch, as a loader yields them."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.x = torch.randn(50, 3, dtype=torch.float64, generator=generator)

    def __iter__(self) -> Any:
        return ({"x": x, "y": x.prod(1, keepdim=True)} for x in self.x.split(10))

    def __len__(self) -> int:
        return 5


@pytest.mark.slow
@pytest.mark.parametrize("loss", [pops, replaces, reentrant, skips_some, KeepsPoints, CountsSteps])
def test_losses_that_change_the_batch_or_differentiate_themselves(loss: Any) -> None:
    runs = [
        run(compile, nothing, loss() if isinstance(loss, type) else loss, data=Batches())
        for compile in (True, False)
    ]
    assert_same(*runs)


def test_a_tensor_that_is_twice_in_a_batch() -> None:
    x = torch.randn(50, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def loss(batch: Any, model: nn.Module) -> Any:
        return (model(batch[0]) - batch[1][:, :1]).square().mean(), {}

    data = [(rows, rows) for rows in x.split(10)]
    assert_same(run(True, nothing, loss, data=data), run(False, nothing, loss, data=data))


def test_parameters_without_a_gradient_do_not_prevent_capturing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Any] = []
    captures = capture_choice.Captures

    def recorded(*args: Any) -> Any:
        made.append(captures(*args))
        return made[-1]

    monkeypatch.setattr(capture_choice, "Captures", recorded)

    def loss(batch: Any, model: Any) -> Any:
        return mean_square(batch, model[1:]), {}

    x = torch.randn(50, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    data = [(rows, rows[:, :1]) for rows in x.split(10)]
    assert_same(run(True, nothing, loss, data=data), run(False, nothing, loss, data=data))
    assert made[0].costs.count > 50
