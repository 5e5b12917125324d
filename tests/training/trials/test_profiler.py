"""The profile of a step, with a clock that only the parts of the step move."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Callback, TrainConfig, Trainer
from perceptrain.errors import ConfigError, DataError, NonFiniteLossError, TrainingError
from perceptrain_core.training.trials import profiler

from ...shared import same

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]
Clock = list[float]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    now = [0.0]
    monkeypatch.setattr(profiler, "perf_counter", lambda: now[0])
    return now


class Slow(torch.autograd.Function):
    """The identity, whose backward pass takes 3 seconds."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, clock: Clock) -> Tensor:
        ctx.clock = clock
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:  # type: ignore[override]
        ctx.clock[0] += 3.0
        return gradient, None


def loss_of(clock: Clock) -> Any:
    """Return a loss that takes 2 seconds."""

    def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        clock[0] += 2.0
        loss = (model(batch[0]) - batch[1]).square().mean()
        return Slow.apply(loss, clock), {}  # type: ignore[no-untyped-call]

    return loss_fn


def data_of(clock: Clock, rows: Rows) -> Any:
    """Return data of which each batch takes 1 second."""

    class Data:
        def __iter__(self) -> Iterator[Rows]:
            for batch in zip(*(t.split(5) for t in rows), strict=True):
                clock[0] += 1.0
                yield batch

    return Data()


class SGD(torch.optim.SGD):
    """Each step takes 4 seconds beside those of its closure."""

    clock: Clock

    def step(self, closure: Any = None) -> Any:
        self.clock[0] += 4.0
        return super().step(closure)


@pytest.fixture
def slow(make_trainer: MakeTrainer, rows: Rows, clock: Clock) -> Callable[..., Trainer]:
    def make(kind: Any = SGD, callbacks: Any = (), **settings: Any) -> Trainer:
        model = make_trainer().model
        optimizer = kind(model.parameters(), lr=0.01)
        optimizer.clock = clock

        def wait(trainer: Any, config: Any, writer: Any) -> None:
            clock[0] += 5.0

        return make_trainer(
            loss_of(clock),
            model=model,
            optimizer=optimizer,
            data=data_of(clock, rows),
            callbacks=[Callback("train_batch_end", callback=wait), *callbacks],
            **settings,
        )

    return make


def test_time_is_charged_to_what_takes_it(slow: Callable[..., Trainer]) -> None:
    found = slow().profile(steps=6)
    assert found.seconds == {
        "data": 6.0,
        "loss": 12.0,
        "backward": 18.0,
        "optimizer": 24.0,
        "callbacks": 30.0,
    }
    assert (found.steps, found.total, found.steps_per_second) == (6, 90.0, 6 / 90)
    assert found.shares["backward"] == 18 / 90
    assert sum(found.shares.values()) == pytest.approx(1)
    assert str(found) == (
        "SECTION     MS PER STEP   SHARE\n"
        "data           1000.000    6.7%\n"
        "loss           2000.000   13.3%\n"
        "backward       3000.000   20.0%\n"
        "optimizer      4000.000   26.7%\n"
        "callbacks      5000.000   33.3%\n"
        "total         15000.000  100.0%"
    )


def test_several_batches_a_step(slow: Callable[..., Trainer]) -> None:
    found = slow(accumulate=2).profile(steps=3)
    assert list(found.seconds.values()) == [6.0, 12.0, 18.0, 12.0, 30.0]


def test_the_closure_of_an_optimizer_is_not_its_own_time(slow: Callable[..., Trainer]) -> None:
    class Searching(SGD):
        needs_closure = True

        def step(self, closure: Any = None) -> Any:
            closure()
            return super().step(closure)

    found = slow(Searching).profile(steps=2)
    # Each step evaluates the loss and its gradients twice. What the closure does besides calling
    # the loss cannot be told from the optimizer.
    assert found.seconds["loss"] == 8.0
    assert found.seconds["backward"] + found.seconds["optimizer"] == 2 * (6.0 + 4.0)


def test_callbacks_may_be_left_out(slow: Callable[..., Trainer]) -> None:
    assert slow().profile(steps=2, callbacks=False).seconds["callbacks"] == 0.0


class Counting(Callback):
    """Changes itself, the rate and the model."""

    def __init__(self) -> None:
        super().__init__("train_batch_end")
        self.seen: list[Any] = []

    def run_callback(self, trainer: Any, config: TrainConfig, writer: Any) -> None:
        self.seen.append((trainer.global_step, float(trainer.opt_result.loss)))
        assert trainer.model is not None
        trainer.optimizer.param_groups[0]["lr"] *= 2
        trainer.stop_training = True
        writer.write(1, {"loss": 1.0})


def test_callbacks_work_on_copies_and_nothing_is_left(
    slow: Callable[..., Trainer], here: Path
) -> None:
    counting = Counting()
    trainer = slow(callbacks=[counting], checkpoint_every=1, write_every=1)
    model = {name: value.clone() for name, value in trainer.model.state_dict().items()}
    generator = torch.get_rng_state()
    trainer.profile(steps=3)
    assert counting.seen == []
    assert same(trainer.model.state_dict(), model)
    assert trainer.optimizer.param_groups[0]["lr"] == 0.01
    assert torch.equal(torch.get_rng_state(), generator)
    assert (trainer.global_step, trainer.stop_training, trainer.history) == (0, False, [])
    assert not any(here.iterdir())
    # The hooks of the profile are removed: the fit works as ever.
    trainer.fit()
    assert counting.seen[0][0] == 1


def test_hooks_of_a_subclass_are_measured(make_trainer: MakeTrainer, clock: Clock) -> None:
    class Hooked(Trainer):
        calls = 0

        def on_train_batch_start(self, batch: Any) -> None:
            self.calls += 1
            clock[0] += 7.0

    trainer = make_trainer(kind=Hooked)
    assert trainer.profile(steps=2).seconds["callbacks"] == 14.0
    assert trainer.calls == 0  # type: ignore[attr-defined]


def test_a_callback_that_cannot_be_copied(make_trainer: MakeTrainer) -> None:
    class Single(Callback):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("there is only one")

    one = Single("train_batch_end", callback=lambda t, c, w: None)
    trainer = make_trainer(callbacks=[one])
    with pytest.raises(TrainingError, match=r"only one\. Pass callbacks=False"):
        trainer.profile()
    assert trainer.profile(steps=1, callbacks=False).steps == 1


def test_with_a_real_clock(make_trainer: MakeTrainer) -> None:
    found = make_trainer().profile(steps=5)
    parts = [found.seconds[name] for name in ("data", "loss", "backward", "optimizer")]
    assert min(parts) > 0


def test_what_cannot_be_measured(make_trainer: MakeTrainer) -> None:
    with pytest.raises(ConfigError, match="steps"):
        make_trainer().profile(steps=0)
    with pytest.raises(DataError, match="no batch"):
        make_trainer(data=iter(())).profile()

    def diverging(batch: Rows, model: nn.Module) -> Any:
        return model(batch[0]).mean() * float("nan"), {}

    trainer = make_trainer(diverging)
    with pytest.raises(NonFiniteLossError):
        trainer.profile()
