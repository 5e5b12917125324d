from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import LBFGS, SGD, Adam, Optimizer

from perceptrain import default_optimize_step as optimize_step
from perceptrain_core.optimizer_steps import needs_closure
from perceptrain_core.optimizers import AdamLBFGS

from ...shared import same

Rows = tuple[Tensor, Tensor]
Net = Callable[..., nn.Module]


def loss_fn(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    loss = F.mse_loss(model(batch[0]), batch[1])
    return loss, {"root": loss.sqrt(), "number": 2.0}


@pytest.mark.parametrize(
    ("kind", "options"),
    [(SGD, {"lr": 0.1, "momentum": 0.9}), (Adam, {"lr": 0.01}), (LBFGS, {"lr": 0.5})],
)
def test_equals_a_loop_written_by_hand(
    rows: Rows, make_net: Net, kind: type[Optimizer], options: dict[str, Any]
) -> None:
    ours, theirs = make_net(), make_net()
    mine, other = kind(ours.parameters(), **options), kind(theirs.parameters(), **options)

    def closure() -> Tensor:
        other.zero_grad()
        loss = F.mse_loss(theirs(rows[0]), rows[1])
        loss.backward()
        return loss

    for _ in range(5):
        before = F.mse_loss(theirs(rows[0]), rows[1]).detach()
        other.step(closure)
        loss, metrics = optimize_step(ours, mine, loss_fn, rows)
        assert torch.equal(loss, before)
        assert torch.equal(metrics["root"], before.sqrt())
    assert same(ours, theirs)


@pytest.mark.parametrize("kind", [Adam, LBFGS])
def test_result_holds_no_graph(rows: Rows, make_net: Net, kind: type[Optimizer]) -> None:
    model = make_net()
    loss, metrics = optimize_step(model, kind(model.parameters()), loss_fn, rows)
    assert not loss.requires_grad
    assert not metrics["root"].requires_grad
    assert metrics["number"] == 2.0


@pytest.mark.parametrize(("kind", "evaluations"), [(SGD, 1), (LBFGS, 4)])
def test_begin_step_is_called_once_for_all_evaluations_of_a_step(
    rows: Rows, make_net: Net, kind: type[Optimizer], evaluations: int
) -> None:
    class Counted:
        steps = calls = 0

        def begin_step(self) -> None:
            self.steps += 1

        def __call__(self, batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
            self.calls += 1
            loss, _ = loss_fn(batch, model)
            return loss, {"call": self.calls}

    model, counted = make_net(), Counted()
    options = {"max_iter": 4} if kind is LBFGS else {}
    _, metrics = optimize_step(model, kind(model.parameters(), lr=0.1, **options), counted, rows)
    assert (counted.steps, counted.calls) == (1, evaluations)
    assert metrics == {"call": 1}


def test_zero_grad_of_a_subclass_is_honoured(rows: Rows, make_net: Net) -> None:
    class Counting(SGD):
        cleared = 0

        def zero_grad(self, set_to_none: bool = True) -> None:
            self.cleared += 1
            super().zero_grad(set_to_none)

    model = make_net()
    optimizer = Counting(model.parameters(), lr=0.1)
    optimize_step(model, optimizer, loss_fn, rows)
    assert optimizer.cleared == 1


def test_gradients_of_earlier_steps_do_not_add_up(rows: Rows, make_net: Net) -> None:
    model = make_net()
    optimizer = SGD(model.parameters(), lr=0.0)
    optimize_step(model, optimizer, loss_fn, rows)
    first = [p.grad.clone() for p in model.parameters()]  # type: ignore[union-attr]
    optimize_step(model, optimizer, loss_fn, rows)
    pairs = zip(first, model.parameters(), strict=True)
    assert all(torch.equal(grad, p.grad) for grad, p in pairs)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [SGD, Adam])
def test_closure_that_an_optimizer_can_do_without_is_not_made(kind: type[Optimizer]) -> None:
    assert not needs_closure(kind([torch.zeros(1)]))


def test_closure_that_an_optimizer_needs() -> None:
    class Own(SGD):
        def step(self, closure: Any) -> Any:  # type: ignore[override]
            return super().step(closure)

    assert needs_closure(LBFGS([torch.zeros(1)]))
    assert needs_closure(Own([torch.zeros(1)]))


@pytest.mark.parametrize("needed", [True, False])
def test_optimizer_that_says_itself_whether_it_needs_a_closure(
    rows: Rows, make_net: Net, needed: bool
) -> None:
    given: list[Any] = []

    class Own(SGD):
        needs_closure = needed

        def step(self, closure: Any = None) -> Any:
            given.append(closure)
            return super().step(closure)

    model = make_net()
    optimize_step(model, Own(model.parameters(), lr=0.1), loss_fn, rows)
    assert (given[0] is not None) == needed


def test_batch_takes_the_dtype_but_labels_stay_whole(make_net: Net) -> None:
    model = make_net(2, 4, 3).double()
    batch = torch.zeros(5, 2), torch.zeros(5, dtype=torch.int64)

    def classify(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        assert batch[1].dtype is torch.int64
        return F.cross_entropy(model(batch[0]), batch[1]), {}

    optimizer = SGD(model.parameters(), lr=0.1)
    loss, _ = optimize_step(model, optimizer, classify, batch, "cpu", torch.float64)
    assert loss.dtype is torch.float64


@pytest.mark.parametrize("search", [None, "strong_wolfe"])
def test_error_inside_a_line_search_leaves_the_parameters(
    rows: Rows, make_net: Net, search: str | None
) -> None:
    calls = 0

    def fails_later(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ArithmeticError
        return loss_fn(batch, model)

    model = make_net()
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = LBFGS(model.parameters(), line_search_fn=search)
    with pytest.raises(ArithmeticError):
        optimize_step(model, optimizer, fails_later, rows)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def adam_then_lbfgs(params: Any, **options: Any) -> Optimizer:
    return AdamLBFGS(params, 0, lbfgs_kwargs=options)


@pytest.mark.parametrize("make", [LBFGS, adam_then_lbfgs])
@pytest.mark.parametrize("search", [None, "strong_wolfe"])
@pytest.mark.parametrize("steps_before", [0, 1, 4])
@pytest.mark.parametrize("interruption", [ArithmeticError, KeyboardInterrupt])
def test_goes_on_after_a_step_that_gave_up_as_if_it_had_not_been(
    rows: Rows,
    make_net: Net,
    make: Callable[..., Optimizer],
    search: str | None,
    steps_before: int,
    interruption: type[BaseException],
) -> None:
    calls = iter(range(99))

    def fails_later(batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        if next(calls) == 3:
            raise interruption
        return loss_fn(batch, model)

    nets = make_net(), make_net()
    options = {"lr": 0.5, "max_iter": 5, "history_size": 3, "line_search_fn": search}
    straight, failing = (make(net.parameters(), **options) for net in nets)
    for _ in range(steps_before):
        optimize_step(nets[0], straight, loss_fn, rows)
        optimize_step(nets[1], failing, loss_fn, rows)
    with pytest.raises(interruption):
        optimize_step(nets[1], failing, fails_later, rows)
    for _ in range(3):
        expected, _ = optimize_step(nets[0], straight, loss_fn, rows)
        assert torch.equal(optimize_step(nets[1], failing, loss_fn, rows)[0], expected)
    assert same(nets[0], nets[1])
