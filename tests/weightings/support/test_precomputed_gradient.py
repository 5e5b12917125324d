"""A loss whose gradient is known is like any other tensor, whatever is done with it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, WeightedLoss, default_optimize_step
from perceptrain_core.tensors import graph_nodes
from perceptrain_core.weightings.support.precomputed_gradient import PrecomputedLoss

WEIGHTS = {"a": 3.0, "b": 0.5}


def terms(x: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    found = {"a": model(x).square().mean(), "b": (model(x) - 1).abs().mean()}
    return found["a"] + found["b"], found


class Looking(nn.Module):
    """Weights that stay, with a look at the gradients."""

    every = 1

    def update(self, terms: Any, grads: Callable[[], Any]) -> dict[str, Tensor]:
        grads()
        return {name: torch.tensor(weight) for name, weight in WEIGHTS.items()}


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return FFNN([2, 4, 1], "tanh")


@pytest.fixture
def x() -> Tensor:
    return torch.rand(5, 2)


def known(x: Tensor, model: nn.Module) -> Tensor:
    loss, _ = WeightedLoss(terms, Looking())(x, model)
    return loss


def plain(x: Tensor, model: nn.Module) -> Tensor:
    found = terms(x, model)[1]
    return sum((WEIGHTS[name] * term for name, term in found.items()), torch.zeros(()))


def grads_of(model: nn.Module, act: Callable[[], Any]) -> list[Tensor]:
    model.zero_grad()
    act()
    return [p.grad for p in model.parameters()]


USES: dict[str, Callable[[Tensor, list[Any]], Any]] = {
    "backward": lambda loss, p: loss.backward(),
    "scaled": lambda loss, p: (1024 * loss).backward(),
    "divided in place": lambda loss, p: loss.__itruediv__(4).backward(),
    "added to": lambda loss, p: (loss + 0.1 * p[0].square().sum()).backward(),
    "stacked": lambda loss, p: torch.stack([loss, 2 * loss]).sum().backward(),
    "given a gradient": lambda loss, p: loss.backward(torch.tensor(3.0)),
    "twice": lambda loss, p: [loss.backward(retain_graph=True), loss.backward()],
    "of torch": lambda loss, p: torch.autograd.backward(loss),
    "some inputs": lambda loss, p: loss.backward(inputs=p[:1]),
    "a graph": lambda loss, p: loss.backward(create_graph=True),
    "a hook of the loss": lambda loss, p: [loss.register_hook(lambda g: 5 * g), loss.backward()],
    "without gradients on": lambda loss, p: torch.no_grad()(loss.backward)(),
    "scaled twice": lambda loss, p: (2 * (loss / 8)).backward(),
    "a number over it": lambda loss, p: (8 / loss).backward(),
    "its real part": lambda loss, p: loss.real.backward(),
    "changed in place": lambda loss, p: [loss.mul_(3), loss.backward()],
    "keeps its own gradient": lambda loss, p: [
        loss.retain_grad(),
        loss.backward(),
        p[0].grad.mul_(loss.grad),
    ],
    "second derivatives, scaled": lambda loss, p: sum(
        g.square().sum() for g in torch.autograd.grad(3 * loss, p, create_graph=True)
    ).backward(),
    "second derivatives": lambda loss, p: (
        loss + sum(g.square().sum() for g in torch.autograd.grad(loss, p, create_graph=True))
    ).backward(),
}
LOOKS: dict[str, Callable[[Tensor], Any]] = {
    "float": lambda loss: float(loss.detach()),
    "printed": lambda loss: print(loss, f"{loss:.2f}"),
    "compared": lambda loss: loss > 3,
    "finite": lambda loss: torch.isfinite(loss) & loss.isfinite(),
    "product": lambda loss: loss * 2 + 1,
    "clone": lambda loss: loss.clone(),
    "asked": lambda loss: (loss.requires_grad, loss.grad_fn, loss.dim(), loss.dtype, loss.shape),
    "detached": lambda loss: loss.detach().requires_grad,
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.filterwarnings("ignore:Using backward.. with create_graph")
def test_the_gradients_are_those_of_the_weighted_sum(use: str, model: nn.Module, x: Tensor) -> None:
    parameters = [*model.parameters()]
    found = grads_of(model, lambda: USES[use](known(x, model), parameters))
    expected = grads_of(model, lambda: USES[use](plain(x, model), parameters))
    assert [g is None for g in found] == [g is None for g in expected]
    for one, other in zip(found, expected, strict=True):
        if one is not None:
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_a_look_at_the_loss_changes_nothing(
    look: str, mode: Any, model: nn.Module, x: Tensor
) -> None:
    loss = known(x, model)
    with mode():
        LOOKS[look](loss)
    found = grads_of(model, loss.backward)
    torch.testing.assert_close(found, grads_of(model, plain(x, model).backward))
    LOOKS[look](loss)  # afterwards, too


def test_scaling_and_a_first_look_keep_the_gradient_known(model: nn.Module, x: Tensor) -> None:
    loss = known(x, model)
    assert loss.requires_grad
    assert loss.grad_fn is not None
    scaled = torch.amp.GradScaler("cpu", init_scale=8.0).scale(loss) / torch.tensor(2.0)
    nodes = {type(node).__name__ for node in graph_nodes([scaled])}
    assert nodes == {"DivBackward0", "MulBackward0", "_WeightedSumBackward", "AccumulateGrad"}
    assert scaled.item() == pytest.approx(4 * loss.item())


def test_a_value_that_is_kept_keeps_nothing_else(model: nn.Module, x: Tensor) -> None:
    loss = known(x, model)
    value, gradients = loss.detach(), weakref.ref(loss._known[-1])
    loss.backward()
    del loss
    gc.collect()
    assert gradients() is None
    assert type(value) is Tensor


@pytest.mark.parametrize("retains", [False, True])
def test_a_backward_pass_frees_the_graph(retains: bool, model: nn.Module, x: Tensor) -> None:
    held: list[Any] = []

    def watched(x: Tensor, model: nn.Module) -> Any:
        loss, found = terms(x, model)
        held.append(weakref.ref(found["a"]))
        return loss, found

    loss, _ = WeightedLoss(watched, Looking())(x, model)
    if retains:  # without the shortcut
        loss.retain_grad()
    loss.backward()
    gc.collect()
    assert held[0]() is None


def test_parameters_that_no_term_reaches_are_not_in_the_graph(model: nn.Module, x: Tensor) -> None:
    model.idle = nn.Parameter(torch.ones(()))
    nodes = graph_nodes([known(x, model)])
    leaves = {node.variable for node in nodes if hasattr(node, "variable")}
    assert leaves == {p for p in model.parameters() if p is not model.idle}


def test_under_autocast_it_is_as_precise_as_its_terms(model: nn.Module, x: Tensor) -> None:
    def exact(x: Tensor, model: nn.Module) -> Any:
        with torch.autocast("cpu", enabled=False):
            found = terms(x, model)[1]
        return found["a"], found

    expected = plain(x, model)
    once = grads_of(model, expected.backward)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = WeightedLoss(exact, Looking())(x, model)
        assert isinstance(loss, PrecomputedLoss)
        torch.testing.assert_close(loss.detach(), expected.detach())
        torch.testing.assert_close(grads_of(model, loss.backward), once)


def test_it_is_seen_as_a_tensor_in_a_graph(model: nn.Module, x: Tensor) -> None:
    loss, same = known(x, model), plain(x, model).item()
    assert isinstance(loss, PrecomputedLoss)
    assert loss.requires_grad
    assert loss.grad_fn is not None
    assert loss.shape == ()
    assert loss.item() == pytest.approx(same)
    assert f"{loss:.3f}" == f"{same:.3f}"
    assert "grad_fn" in repr(loss)
    assert type(loss.detach()) is type(2 * loss) is Tensor
    assert not loss.detach().requires_grad
    for gradient, expected in zip(
        torch.autograd.grad(loss, [*model.parameters()]),
        torch.autograd.grad(plain(x, model), [*model.parameters()]),
        strict=True,
    ):
        torch.testing.assert_close(gradient, expected)


def test_gradients_add_up_and_who_waits_for_them_hears(model: nn.Module, x: Tensor) -> None:
    once = grads_of(model, lambda: plain(x, model).backward())
    heard: list[Tensor] = []
    model.zero_grad()
    known(x, model).backward()
    bias = model.network[0].bias
    bias.register_post_accumulate_grad_hook(lambda p: heard.append(p.grad.clone()))
    known(x, model).backward()
    torch.testing.assert_close(heard, [2 * once[1]])
    for parameter, gradient in zip(model.parameters(), once, strict=True):
        torch.testing.assert_close(parameter.grad, 2 * gradient)


def test_a_hook_that_changes_a_gradient_does_so_once(model: nn.Module, x: Tensor) -> None:
    once = grads_of(model, lambda: plain(x, model).backward())
    model.network[0].weight.register_hook(lambda gradient: 0.1 * gradient)
    loss, _ = WeightedLoss(terms, Looking())(x, model)
    found = grads_of(model, loss.backward)
    torch.testing.assert_close(found, [0.1 * once[0], *once[1:]])


def test_parameters_of_two_dtypes(x: Tensor) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Parameter(torch.ones(1))
            self.second = nn.Parameter(torch.ones(1, dtype=torch.float64))

        def forward(self, x: Tensor) -> Tensor:
            return x.sum() * self.first * self.second

    found = grads_of(model := Two(), lambda: known(x, model).backward())
    expected = grads_of(model, lambda: plain(x, model).backward())
    assert [g.dtype for g in found] == [torch.float32, torch.float64]
    torch.testing.assert_close(found, expected)


def test_metrics_that_a_step_hands_on_do_not_change_with_the_parameters() -> None:
    """A term may be a parameter itself, which the step changes in place."""
    model = nn.Module()
    model.p = nn.Parameter(torch.tensor(2.0))

    def loss_fn(x: Any, model: nn.Module) -> Any:
        return model.p, {"p": model.p, "twice": 2 * model.p}

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for every in (1, 10**9):
        before = model.p.item()
        weighted = WeightedLoss(loss_fn, {"name": "grad_norm_balance", "every": every})
        loss, metrics = default_optimize_step(model, optimizer, weighted, None)
        assert metrics["p"].item() == before != model.p.item()
        assert metrics["twice"].item() == 2 * before
        assert type(loss) is Tensor
