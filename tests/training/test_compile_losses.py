"""Losses and batches as people write them train the same with ``compile=True``, captured or not."""

from __future__ import annotations

import logging
import queue
import re
import threading
import warnings
import weakref
from array import array
from collections import UserDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Normal

from perceptrain import TrainConfig, Trainer

from .conftest import Made

pytestmark = pytest.mark.usefixtures("made")


def pairs() -> list[tuple[Tensor, Tensor]]:
    x = torch.randn(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return [(rows, rows.prod(1, keepdim=True)) for rows in x.split(10)]


def square(x: Tensor, y: Tensor, model: nn.Module) -> Tensor:
    return (model(x) - y).square().mean()


def train(
    loss: Any, data: Any, compile: bool, optimizer: type = torch.optim.Adam, policy: str = "raise"
) -> tuple[Trainer, list[str]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    config = TrainConfig(
        max_iter=6, compile=compile, verbose=False, tracking_tool="none", on_nonfinite=policy
    )
    trainer = Trainer(model, optimizer(model.parameters(), lr=0.01), config, loss_fn=loss)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer.fit(data)
    return trainer, [str(each.message) for each in caught]


def assert_same(make_loss: Callable[[], Any], data: Any = None, **options: Any) -> list[str]:
    """Train both ways; return the warnings of the captured run."""
    data = pairs() if data is None else data
    captured, messages = train(make_loss(), data, True, **options)
    eager, _ = train(make_loss(), data, False, **options)
    for one, other in zip(captured.model.parameters(), eager.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)
    for row, expected in zip(captured.history, eager.history, strict=True):
        assert row == pytest.approx(expected, rel=1e-9)
    return messages


@dataclass
class Batch:
    x: Tensor
    y: Tensor
    weight: float = 2.0


@dataclass(frozen=True, slots=True)
class Frozen:
    x: Tensor
    y: Tensor = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "y", self.x.prod(1, keepdim=True))


@dataclass
class Nested:
    inner: Frozen
    others: dict[str, Tensor]


class Items(dict[str, Tensor]):
    """A dict of its own kind."""


def from_fields(batch: Any, model: nn.Module) -> Any:
    batch.x = 2 * batch.x  # of a copy: the next epoch has the same batches
    return batch.weight * square(batch.x, batch.y, model), {}


def from_items(batch: Any, model: nn.Module) -> Any:
    return square(batch["x"], batch["y"], model), {}


BATCHES: dict[str, tuple[Callable[[Tensor, Tensor], Any], Callable[..., Any]]] = {
    "dataclass": (Batch, from_fields),
    "frozen": (lambda x, y: Frozen(x), lambda b, m: (square(b.x, b.y, m), {})),
    "nested": (
        lambda x, y: Nested(Frozen(x), {"y": y}),
        lambda b, m: (square(b.inner.x, b.others["y"], m), {}),
    ),
    "dict of its own kind": (lambda x, y: Items(x=x, y=y), from_items),
    "UserDict": (lambda x, y: UserDict(x=x, y=y), from_items),
    "defaultdict": (lambda x, y: defaultdict(list, x=x, y=y), from_items),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BATCHES)
def test_batches(name: str, made: Made) -> None:
    make, loss = BATCHES[name]
    assert not assert_same(lambda: loss, [make(x, y) for x, y in pairs()])[1:]
    assert made[0].costs.count >= 18


def test_batches_with_a_tensor_that_is_not_a_field() -> None:
    @dataclass
    class Extra:
        x: Tensor

        def __post_init__(self) -> None:
            self.y = self.x.prod(1, keepdim=True)

    messages = assert_same(
        lambda: lambda b, m: (square(b.x, b.y, m), {}), [Extra(x) for x, _ in pairs()]
    )
    assert "a Extra of a batch has a tensor in an attribute: make it a field" in messages[0]


def likelihood(batch: Any, model: nn.Module) -> Any:
    mean, scale = model(batch[0]).split(1, dim=1)
    return -Normal(mean, F.softplus(scale) + 0.1).log_prob(batch[1]).mean(), {}


def drawn_actions(batch: Any, model: nn.Module) -> Any:
    policy = Categorical(logits=model(batch[0]))
    actions = policy.sample()
    reward = (actions == (batch[1][:, 0] > 0)).double()
    return -(policy.log_prob(actions) * reward).mean(), {"reward": reward.mean()}


def one_hot(batch: Any, model: nn.Module) -> Any:
    labels = F.one_hot((batch[1][:, 0] > 0).long(), num_classes=2)
    return (model(batch[0]).softmax(1) - labels).square().mean(), {}


class Clamps:
    def __call__(self, batch: Any, model: Any) -> Any:
        model[0].weight.data.clamp_(-0.3, 0.3)
        with torch.no_grad():
            model[2].weight.mul_(0.99)
        return square(*batch, model), {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "optimizer"),
    [
        (likelihood, torch.optim.Adam),
        (drawn_actions, torch.optim.SGD),
        (one_hot, torch.optim.SGD),
        (Clamps(), torch.optim.Adam),
    ],
)
def test_what_can_be_captured(loss: Any, optimizer: type, made: Made) -> None:
    assert_same(lambda: loss, optimizer=optimizer)
    assert made[0].costs.count >= 18


def test_checks_of_distributions_are_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Distribution, "_validate_args", True)  # torch.compile sets it to False
    assert_same(lambda: likelihood)
    with pytest.raises(ValueError, match="constraint"):
        Normal(0.0, -1.0)


class Changes:
    """A loss with a factor that is changed at each call, in an object that `make` creates."""

    def __init__(self, make: Callable[[], Any], change: Callable[[Any], float]) -> None:
        self.state, self.change = make(), change

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        return self.change(self.state) * square(*batch, model), {}


def filled() -> queue.Queue[float]:
    full: queue.Queue[float] = queue.Queue()
    for number in range(100):
        full.put(1 + number / 10)
    return full


def simple() -> queue.SimpleQueue[float]:
    full: queue.SimpleQueue[float] = queue.SimpleQueue()
    for number in range(100):
        full.put(1 + number / 10)
    return full


def grow(state: Any) -> float:
    state.append(1)
    return len(state) / 10


def count_in_thread(state: Any) -> float:
    state.calls = getattr(state, "calls", 0) + 1
    return float(state.calls)


def count_weakly(state: Any) -> float:
    state[Changes] = state.get(Changes, 0) + 1
    return float(state[Changes])


def halve(state: Any) -> float:
    state *= 0.99
    return float(state[-1])


class InnerAdam:
    """Trains a second network itself, with an optimizer that reads its own state."""

    def __init__(self) -> None:
        torch.manual_seed(7)
        self.net = nn.Linear(3, 1).double()
        self.optimizer = torch.optim.Adam(self.net.parameters(), 0.1)

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        own = square(batch[0], model(batch[0])[:, :1].detach(), self.net)
        self.optimizer.zero_grad()
        own.backward()
        self.optimizer.step()
        return square(batch[0], self.net(batch[0]).detach(), model), {"own": own.detach()}


class UsesOldGradient:
    """Uses the gradient that the last step left in a tensor that is not trained."""

    def __init__(self) -> None:
        self.scale = torch.ones((), dtype=torch.float64, requires_grad=True)

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        size = 0.0 if self.scale.grad is None else self.scale.grad.tanh()
        return (1 + size) * self.scale * square(*batch, model), {}


class RetainsGradient:
    """Uses the gradient of the last output."""

    def __init__(self) -> None:
        self.output: Any = None

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        old = None if self.output is None else self.output.grad
        self.output = model(batch[0])
        self.output.retain_grad()
        size = 0.0 if old is None else old.norm()
        return (1 + size) * (self.output - batch[1]).square().mean(), {}


class Logs:
    """Logs to a handler with a stream of its own."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        messages = self.messages

        class Keeps(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                messages.append(record.getMessage())

        self.name = f"{__name__}.{id(self)}"
        logging.getLogger(self.name).addHandler(Keeps())

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        logging.getLogger(self.name).warning("a step")
        return square(*batch, model), {}


class CatchesErrors:
    """Reads a value, and goes on without it where that fails."""

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        loss = square(*batch, model)
        try:
            is_small = loss.item() < 1e-9
        except Exception:
            is_small = False
        return (2 * loss if is_small else loss), {}


class AssignsData:
    def __call__(self, batch: Any, model: Any) -> Any:
        model[0].weight.data = model[0].weight.data * 0.99
        return square(*batch, model), {}


class Grows:
    def __init__(self) -> None:
        self.losses = torch.zeros(0, dtype=torch.float64)

    def __call__(self, batch: Any, model: nn.Module) -> Any:
        loss = square(*batch, model)
        self.losses = torch.cat([self.losses, loss.detach()[None]])
        return loss / self.losses.mean(), {}


REASONS: dict[str, tuple[Callable[[], Any], str]] = {
    "queue": (lambda: Changes(filled, lambda q: q.get()), r"calling the loss changes loss\.state"),
    "simple queue": (lambda: Changes(simple, lambda q: q.get()), "a SimpleQueue, which a call may"),
    "bytearray": (lambda: Changes(lambda: bytearray(b"abc"), grow), "changes loss.state"),
    "array": (lambda: Changes(lambda: array("d", [1.0]), grow), "changes loss.state"),
    "large array": (lambda: Changes(lambda: np.ones(200_000), halve), "changes loss.state"),
    "thread": (lambda: Changes(threading.local, count_in_thread), r"loss\.state\.calls"),
    "weak": (lambda: Changes(weakref.WeakKeyDictionary, count_weakly), r"loss\.state\.data\[key"),
    "optimizer": (InnerAdam, r"with \.item\(\) \(.*self.optimizer.step\(\)"),
    "old gradient": (UsesOldGradient, r"uses \.grad of a tensor from the step before"),
    "retained": (RetainsGradient, r"uses \.grad of a tensor from the step before"),
    "logs": (Logs, "logs a message with the logger"),
    "catches": (CatchesErrors, r"reads the value of a tensor with \.item\(\)"),
    "data": (AssignsData, "differs from the eager step"),
    "grows": (Grows, r"loss\.losses keeps changing"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "optimizer"),
    # Adam has a state, which a step that is given up must not change.
    [
        *((name, torch.optim.Adam) for name in ("grows", "data", "old gradient")),
        *((name, torch.optim.SGD) for name in REASONS if name != "grows"),
    ],
)
def test_what_is_tried_and_given_up_leaves_no_trace(name: str, optimizer: type) -> None:
    make_loss, reason = REASONS[name]
    messages = assert_same(make_loss, optimizer=optimizer)
    found = [m for m in messages if m.startswith("compile=True")]
    assert len(found) == 1
    assert re.search(reason, found[0]), found[0]


def test_each_call_is_logged() -> None:
    loss = Logs()
    train(loss, pairs(), True)
    assert loss.messages == ["a step"] * 24


def test_no_gradients_are_left_after_a_loss_that_is_nan() -> None:
    data = pairs()
    data[-1] = data[-1][0], data[-1][1] * torch.nan
    for compile in (True, False):
        trainer, _ = train(lambda b, m: (square(*b, m), {}), data, compile, policy="skip")
        assert all(p.grad is None for p in trainer.model.parameters())
