"""Backward passes do what those of torch do."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from perceptrain_core.backward import backward, gradients


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()


def loss_of(model: nn.Module) -> Tensor:
    x = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loss: Tensor = model(x).square().mean()
    return loss


def test_backward_adds_to_grad_and_frees_the_graph() -> None:
    ours, theirs = net(), net()
    for _ in range(2):
        loss = loss_of(ours)
        backward(loss)
        loss_of(theirs).backward()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine.grad, other.grad)
    with pytest.raises(RuntimeError, match="second time"):
        backward(loss)


def test_backward_calls_hooks() -> None:
    model, seen = net(), []
    model[0].weight.register_hook(lambda grad: seen.append("gradient"))
    model[0].weight.register_post_accumulate_grad_hook(lambda p: seen.append("accumulated"))
    backward(loss_of(model))
    assert seen == ["gradient", "accumulated"]


class Recorded(Tensor):
    """A tensor with a backward pass of its own."""

    def backward(self, *args: object, **kwargs: object) -> None:
        self.called = True


def test_a_subclass_of_a_tensor_has_its_own_backward_pass() -> None:
    loss = loss_of(net()).as_subclass(Recorded)
    backward(loss)
    assert loss.called


@pytest.mark.parametrize("wrong", [torch.ones(2), torch.ones((), dtype=torch.complex64)])
def test_only_real_scalars_have_a_backward_pass(wrong: Tensor) -> None:
    with pytest.raises(RuntimeError, match="only for"):
        backward(wrong.requires_grad_() * 1)


def test_gradients_keep_the_graph_and_grad() -> None:
    model = net()
    loss, parameters = loss_of(model), [*model.parameters(), torch.ones(1, requires_grad=True)]
    expected = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
    for _ in range(2):
        found = gradients(loss, parameters)
        assert found[-1] is None
        assert all(torch.equal(f, e) for f, e in zip(found[:-1], expected[:-1], strict=True))
    assert all(p.grad is None for p in parameters)
