from __future__ import annotations

import torch
from torch import nn

from perceptrain_core.inference.outputs import fitting, outputs_of
from perceptrain_core.inference.pipeline import Pipeline
from perceptrain_core.models import FFNN


class Recorder(nn.Module):
    """Returns its inputs, and remembers how many rows came at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert not self.training
        self.sizes.append(len(x))
        return x


def test_large_rows_are_evaluated_a_few_at_a_time():
    rows, model = torch.rand(10, 1024, 512), Recorder()
    assert torch.equal(outputs_of(Pipeline(model), rows), rows)
    assert model.sizes == [2] * 5
    assert model.training
    assert (fitting(100, torch.rand(10, 3)), fitting(100, torch.rand(1, 2**21))) == (100, 1)


def test_rows_get_the_dtype_of_the_model():
    model = FFNN([3, 4, 1]).double()
    rows = torch.rand(5, 3)
    assert torch.equal(outputs_of(Pipeline(model), rows), model(rows.double()).detach())


def test_outputs_that_are_not_a_tensor():
    class Pair(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    assert outputs_of(Pipeline(Pair()), torch.rand(3, 1)) is None
