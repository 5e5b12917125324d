from __future__ import annotations

import pytest
import torch
from torch import nn

from perceptrain_core.errors import DataError
from perceptrain_core.inference.outputs import evaluate, outputs_of, require_tensor, row_parts
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


def test_rows_are_split_by_their_number_and_their_size():
    assert [len(part) for part in row_parts(torch.rand(10, 3), 4)] == [4, 4, 2]
    assert [len(part) for part in row_parts(torch.rand(2, 2**21), 4)] == [1, 1]


class Pair(nn.Module):
    """Returns a tuple, from dropout that evaluation turns off."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.5)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.dropout(x) * self.scale, x


def test_a_part_is_evaluated_in_evaluation_mode_and_without_gradients():
    model, rows = Pair(), torch.rand(50, 1)
    doubled, same = evaluate(model, rows)
    assert torch.equal(doubled, 2 * rows)
    assert torch.equal(same, rows)
    assert not doubled.requires_grad
    assert model.training
    assert model.dropout.training


def test_only_a_tensor_can_be_predictions():
    outputs = torch.rand(3)
    assert require_tensor(outputs) is outputs
    with pytest.raises(DataError, match=r"returned a tuple .*call the model itself"):
        require_tensor((outputs, outputs))


def test_rows_get_the_dtype_of_the_model():
    model = FFNN([3, 4, 1]).double()
    rows = torch.rand(5, 3)
    assert torch.equal(outputs_of(Pipeline(model), rows), model(rows.double()).detach())


def test_outputs_that_are_not_a_tensor():
    assert outputs_of(Pipeline(Pair()), torch.rand(3, 1)) is None
