"""The module that goes from raw rows to predictions."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from perceptrain import FFNN, PINN
from perceptrain_core.data.tables.modules import PrepareInputs, Unscale
from perceptrain_core.inference.pipeline import Pipeline


def test_all_steps_in_their_order():
    prepare = PrepareInputs([1.0, torch.nan], [0, 1, 1], [2, 0, 0], [4, 1, 1], [torch.nan, 0, 1])
    model = nn.Linear(3, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, 10, 100]]))
    pipeline = Pipeline(model, prepare, "sigmoid", Unscale([5.0], [2.0]))
    rows = torch.tensor([[torch.nan, 0], [6, 1]], dtype=torch.float64)
    logits = torch.tensor([[-0.25 + 10], [1.0 + 100]])
    torch.testing.assert_close(pipeline(rows), torch.sigmoid(logits) * 2 + 5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_inputs_have_the_dtype_of_the_model(dtype):
    pipeline = Pipeline(nn.Linear(2, 1).to(dtype))
    assert pipeline(torch.ones(3, 2, dtype=torch.float64)).dtype == dtype
    assert pipeline(torch.ones(3, 2)).dtype == dtype


def test_whole_numbers_stay_whole_numbers():
    pipeline = Pipeline(nn.Embedding(4, 2))
    assert pipeline(torch.tensor([0, 3])).shape == (2, 2)


def test_of_a_pinn_the_network_is_evaluated():
    network = FFNN([1, 4, 1])
    pipeline = Pipeline(PINN(network, {"start": lambda t, u: u(t)}))
    rows = torch.rand(3, 1)
    assert torch.equal(pipeline(rows), network(rows))


def test_what_is_no_tensor_is_returned():
    class Pair(nn.Module):
        def forward(self, x):
            return x, x

    assert isinstance(Pipeline(Pair(), activation="softmax")(torch.ones(1)), tuple)
