"""A step on several batches is the step on one batch of all their rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from perceptrain_core.training.steppers.base import StepOutcome
from perceptrain_core.training.steppers.gradients import AdaptiveStepper
from perceptrain_core.types import SkipBatch

ROWS = 12


def net() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1)).double()


def rows() -> tuple[Tensor, Tensor]:
    x = torch.randn(ROWS, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    return x, x.prod(1, keepdim=True)


def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    loss = F.mse_loss(model(batch[0]), batch[1])
    return loss, {"rows": torch.tensor(float(len(batch[0])))}


def parts(count: int) -> list[Any]:
    return list(zip(*(tensor.chunk(count) for tensor in rows()), strict=True))


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def step(
    model: nn.Module, optimizer: Any, loss_fn: Any, batches: list[Any], **options: Any
) -> StepOutcome:
    return AdaptiveStepper(model, optimizer, loss_fn, **options).take(batches)


def make(kind: str, model: nn.Module) -> torch.optim.Optimizer:
    if kind == "lbfgs":
        return torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")
    return torch.optim.Adam(model.parameters(), lr=0.05)


@pytest.mark.parametrize("kind", ["adam", "lbfgs"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_is_the_step_on_all_the_rows_at_once(kind: str, count: int) -> None:
    one, several = net(), net()
    whole, accumulated = make(kind, one), make(kind, several)

    def closure() -> Tensor:
        whole.zero_grad()
        loss = loss_fn(rows(), one)[0]
        loss.backward()
        return loss

    for _ in range(5):
        expected = closure().item()
        whole.step(closure)
        results, _ = step(several, accumulated, loss_fn, parts(count))
        losses = [result[0] for result in results if result]
        assert len(losses) == count
        assert torch.stack(losses).mean().item() == pytest.approx(expected, rel=1e-9)
    torch.testing.assert_close(weights(several), weights(one), rtol=1e-7, atol=1e-9)


@given(max_norm=st.floats(1e-3, 10) | st.none(), max_value=st.floats(1e-3, 1) | st.none())
def test_clips_the_mean_of_the_gradients(max_norm: float | None, max_value: float | None) -> None:
    model, by_hand = net(), net()
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    before = weights(model)
    step(model, sgd, loss_fn, parts(3), max_norm=max_norm, max_value=max_value)
    loss_fn(rows(), by_hand)[0].backward()
    if max_norm is not None:
        clip_grad_norm_(by_hand.parameters(), max_norm)
    if max_value is not None:
        clip_grad_value_(by_hand.parameters(), max_value)
    gradient = torch.cat([p.grad.flatten() for p in by_hand.parameters() if p.grad is not None])
    torch.testing.assert_close(before - weights(model), gradient)
    if max_norm is not None:
        assert gradient.norm() <= max_norm * (1 + 1e-9)


class Skipping:
    """Leaves out the batches of these numbers."""

    def __init__(self, *skipped: int) -> None:
        self.skipped, self.calls = skipped, 0

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        self.calls += 1
        if self.calls - 1 in self.skipped:
            raise SkipBatch
        return loss_fn(batch, model)


def test_a_batch_that_is_left_out_does_not_count() -> None:
    first, second = net(), net()
    a, b = (torch.optim.SGD(m.parameters(), lr=0.1) for m in (first, second))
    results, stepped = step(first, a, Skipping(1), parts(3))
    assert [result is None for result in results] == [False, True, False]
    assert stepped
    step(second, b, loss_fn, [parts(3)[0], parts(3)[2]])
    assert torch.equal(weights(first), weights(second))


@pytest.mark.parametrize("kind", ["adam", "lbfgs"])
def test_no_step_where_all_are_left_out(kind: str) -> None:
    model = net()
    optimizer = make(kind, model)
    before = weights(model)
    results, stepped = step(model, optimizer, Skipping(0, 1, 2), parts(3))
    assert (results, stepped) == ([None] * 3, False)
    assert torch.equal(weights(model), before)


def test_lbfgs_is_undone_where_a_trial_point_is_left_out() -> None:
    model = net()
    optimizer = make("lbfgs", model)
    before = weights(model)
    results, stepped = step(model, optimizer, Skipping(*range(3, 99)), parts(3))
    assert (results, stepped) == ([None] * 3, False)
    assert torch.equal(weights(model), before)


def test_lbfgs_is_undone_where_a_batch_that_counts_is_left_out_later() -> None:
    """Without it the objective would be another one: here a mean of two, of three before."""
    model = net()
    optimizer = make("lbfgs", model)
    before = weights(model)
    results, stepped = step(model, optimizer, Skipping(7), parts(3))
    assert (results, stepped) == ([None] * 3, False)
    assert torch.equal(weights(model), before)


def test_lbfgs_asks_no_more_for_a_batch_that_was_left_out_at_first() -> None:
    first, second = net(), net()
    a, b = make("lbfgs", first), make("lbfgs", second)
    skipping = Skipping(1)
    results, stepped = step(first, a, skipping, parts(3))
    assert [result is None for result in results] == [False, True, False]
    assert stepped
    step(second, b, loss_fn, [parts(3)[0], parts(3)[2]])
    assert torch.equal(weights(first), weights(second))
    assert skipping.calls % 2 == 1


def test_a_loss_that_counts_steps_is_told_once() -> None:
    class Counting:
        steps = 0

        def begin_step(self) -> None:
            self.steps += 1

        __call__ = staticmethod(loss_fn)

    counting, model = Counting(), net()
    step(model, make("adam", model), counting, parts(3))
    assert counting.steps == 1
