from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import FFNN, PINN
from perceptrain.optimizers import NevergradOptimizer, ask_tell_step
from perceptrain_core.losses import mse_loss
from perceptrain_core.optimizers.ask_tell import read_vector, write_vector

Rows = tuple[Tensor, Tensor]


def test_a_step_is_one_candidate_and_its_loss(rows: Rows, make_net: Callable[..., Any]) -> None:
    model = make_net()
    search = NevergradOptimizer(model.parameters(), "CMA", seed=0)
    candidate = search.ask()
    loss, metrics = ask_tell_step(model, search, mse_loss, rows)
    assert torch.equal(read_vector(list(model.parameters())), candidate.float().double())
    assert loss == F.mse_loss(model(rows[0]), rows[1])
    assert not loss.requires_grad
    assert metrics == {}
    assert search.best_loss == loss.item()
    assert not torch.equal(search.ask(), candidate)
    assert all(p.grad is None for p in model.parameters())


def test_a_loss_with_derivatives_of_the_model() -> None:
    def decay(t: Tensor, u: nn.Module) -> Tensor:
        (du,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
        return du + u(t)

    model = PINN(FFNN([1, 3, 1]), {"decay": decay})
    search = NevergradOptimizer(model.parameters(), "CMA", seed=0)
    loss, _ = ask_tell_step(model, search, mse_loss, {"decay": torch.rand(5, 1)})
    assert loss > 0
    assert not loss.requires_grad


def test_the_batch_takes_the_dtype(rows: Rows, make_net: Callable[..., Any]) -> None:
    model = make_net().double()
    search = NevergradOptimizer(model.parameters(), "CMA", seed=0)
    loss, _ = ask_tell_step(model, search, mse_loss, rows, dtype=torch.float64)
    assert loss.dtype == torch.float64


def test_a_loss_is_told_that_a_step_begins(rows: Rows, make_net: Callable[..., Any]) -> None:
    class Counting:
        steps = 0

        def begin_step(self) -> None:
            self.steps += 1

        def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
            return mse_loss(batch, model)

    model, loss_fn = make_net(), Counting()
    search = NevergradOptimizer(model.parameters(), "CMA", seed=0)
    ask_tell_step(model, search, loss_fn, rows)
    assert loss_fn.steps == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_parameters_keep_their_shape_and_dtype(dtype: torch.dtype) -> None:
    params = [
        nn.Parameter(torch.zeros(2, 3, dtype=dtype)),
        nn.Parameter(torch.zeros((), dtype=dtype)),
    ]
    write_vector(params, torch.arange(7, dtype=torch.float64))
    assert [p.shape for p in params] == [(2, 3), ()]
    assert all(p.dtype == dtype for p in params)
    assert torch.equal(read_vector(params), torch.arange(7, dtype=torch.float64))
