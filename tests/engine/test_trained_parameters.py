"""Two processes whose trained parameters change during a fit, compared with one process."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Callback, TrainConfig, Trainer
from perceptrain_core.engine import exchange, make_engine
from perceptrain_core.engine.launch import run_in_processes
from perceptrain_core.engine.trained_parameters import TrainedParameters

from ..shared import pickled_by_value


class Net(nn.Module):
    """A layer, a head, and a second head that a callback may add."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(2, 8), nn.Linear(8, 1)
        self.added = nn.ModuleList()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.layer(x).tanh()
        out: Tensor = self.head(hidden)
        return sum((head(hidden) for head in self.added), start=out)


def net() -> Net:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return Net().double()


def unfreeze(trainer: Trainer) -> None:
    trainer.model.layer.requires_grad_()


def freeze(trainer: Trainer) -> None:
    trainer.model.layer.requires_grad_(False)


def add(trainer: Trainer) -> None:
    """Add a head, which each process initializes in its own way."""
    with torch.random.fork_rng():
        torch.manual_seed(trainer.engine.rank)
        trainer.model.added.append(nn.Linear(8, 1).double())
    trainer.optimizer.add_param_group({"params": list(trainer.model.added.parameters())})


def unfreeze_in_a_step(batch: Any, model: Any) -> Any:
    """Unfreeze the layer in the third forward pass."""
    x, y = batch
    model.passes = getattr(model, "passes", 0) + 1
    if model.passes == 3:
        model.layer.requires_grad_()
    return (model(x) - y).square().mean(), {}


CHANGES = {"unfreeze": unfreeze, "freeze": freeze, "add": add}
STEPS = ("unfreeze_in_a_step", "unfreeze_with_a_step_of_the_user")


def own_step(model: Any, optimizer: Any, loss_fn: Any, xs: Any, **_: Any) -> Any:
    optimizer.zero_grad()
    loss, metrics = loss_fn(xs, model)
    loss.backward()
    optimizer.step()
    return loss, metrics


def train(name: str, rows: int) -> Tensor:
    """Return the parameters after a change in the second of four epochs."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(24, 2, generator=generator, dtype=torch.float64)
    loss_fn: Any = "mse"
    model, options = net(), dict[str, Any]()
    if name != "freeze":
        model.layer.requires_grad_(name == "add")
    callbacks: list[Callback] = []
    if name in STEPS:
        loss_fn = unfreeze_in_a_step
        if name == STEPS[1]:
            options["optimize_step"] = own_step
    else:
        change = CHANGES[name]
        done: list[int] = []

        def once(trainer: Trainer, config: Any, writer: Any) -> None:
            if not done:
                done.append(1)
                change(trainer)

        callbacks = [Callback("train_epoch_end", 2, once)]
    config = TrainConfig(
        max_iter=4,
        batch_size=rows,
        shuffle=False,
        verbose=False,
        tracking_tool="none",
        callbacks=callbacks,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    Trainer(model, optimizer, config, loss_fn, (x, x.sin()[:, :1]), **options).fit()
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def frozen_values() -> Tensor:
    """Return what a frozen layer has, of which each process starts with other values."""
    torch.manual_seed(make_engine().rank)
    model = Net().double()
    model.layer.requires_grad_(False)
    config = TrainConfig(max_iter=1, verbose=False, tracking_tool="none")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "_MOST_BYTES", 100)
        rows = torch.ones(8, 2).double(), torch.ones(8, 1).double()
        Trainer(model, "adam", config, "mse", rows).fit()
    return nn.utils.parameters_to_vector(model.parameters()).detach()


def run_cases() -> Any:
    torch.set_num_threads(1)
    own = {name: train(name, 4) for name in (*CHANGES, *STEPS)}
    return make_engine().gather(own | {"frozen": frozen_values()})


@pytest.fixture(scope="module")
def both(forked_workers: None) -> list[dict[str, Tensor]]:
    """The parameters of each process after each case."""
    with pickled_by_value(__name__):
        return run_in_processes(run_cases, 2)


@pytest.mark.parametrize("name", [*CHANGES, *STEPS])
def test_what_is_trained_may_change_during_a_fit(both: list[dict[str, Tensor]], name: str) -> None:
    alone = train(name, 8)
    for each in both:
        torch.testing.assert_close(each[name], alone, rtol=1e-12, atol=1e-12)


def test_frozen_parameters_start_with_the_values_of_the_first_process(
    both: list[dict[str, Tensor]],
) -> None:
    torch.manual_seed(0)
    first = nn.utils.parameters_to_vector(Net().double().layer.parameters()).detach()
    for each in both:
        assert torch.equal(each["frozen"], both[0]["frozen"])
        assert torch.equal(each["frozen"][: len(first)], first)


def test_nothing_changes_unless_parameters_do() -> None:
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    trained = TrainedParameters((model, optimizer))
    assert not trained.update()
    model.layer.requires_grad_(False)
    assert trained.update()
    assert list(map(id, trained.current)) == list(map(id, model.head.parameters()))
    assert not trained.update()
