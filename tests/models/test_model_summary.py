"""The summary of a model, against sums over its parameters and a table written by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from perceptrain import FFNN, num_parameters, summary
from perceptrain.errors import ConfigError, ShapeError


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, dtype=torch.float64))
        self.body = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), FFNN([4, 2]))
        self.head = nn.Linear(2, 5, bias=False)
        self.head.weight.requires_grad_(False)


def test_by_hand() -> None:
    found = summary(Deep())
    rows = [(r.name, r.kind, r.parameters, r.trainable, r.bytes) for r in found.rows]
    assert rows == [
        ("", "Deep", 3, 3, 24),
        ("body.0", "Linear", 12, 12, 48),
        # Weight, bias, two averages, and a counter of int64.
        ("body.1", "BatchNorm1d", 8, 8, 32 + 32 + 8),
        ("body.2.network.0", "Linear", 10, 10, 40),
        ("head", "Linear", 10, 0, 40),
    ]
    assert (found.parameters, found.trainable, found.bytes) == (43, 33, 224)


@pytest.mark.parametrize("depth", [None, 1, 2, 9])
def test_totals_are_those_of_the_model(depth: int | None) -> None:
    model = Deep()
    found = summary(model, depth)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.trainable == num_parameters(model)
    tensors = [*model.parameters(), *model.buffers()]
    assert found.bytes == sum(t.untyped_storage().nbytes() for t in tensors)


def test_depth_adds_up() -> None:
    rows = [(row.name, row.kind, row.parameters) for row in summary(Deep(), 1).rows]
    assert rows == [("", "Deep", 3), ("body", "Sequential", 30), ("head", "Linear", 10)]


def test_what_is_shared_counts_once() -> None:
    linear = nn.Linear(3, 3)
    tied = nn.Linear(3, 3, bias=False)
    tied.weight = linear.weight
    found = summary(nn.Sequential(linear, tied, linear))
    assert [row.name for row in found.rows] == ["0"]
    assert found.parameters == 12


def test_the_table() -> None:
    model = nn.Sequential(nn.Linear(100, 500), nn.ReLU(), nn.Linear(500, 1))
    model[2].requires_grad_(False)
    assert str(summary(model)) == (
        "MODULE  TYPE        PARAMETERS  TRAINABLE       SIZE\n"
        "0       Linear          50,500     50,500  197.3 KiB\n"
        "2       Linear             501          0    2.0 KiB\n"
        "total   Sequential      51,001     50,500  199.2 KiB"
    )


def test_models_without_parameters() -> None:
    found = summary(nn.ReLU())
    assert (found.rows, found.parameters, found.bytes) == ([], 0, 0)
    assert str(found).endswith("total   ReLU           0          0   0 B")


def test_what_cannot_be_summarized() -> None:
    with pytest.raises(ShapeError, match="LazyLinear is lazy: call the model on a batch first"):
        summary(nn.Sequential(nn.LazyLinear(3)))
    with pytest.raises(ConfigError, match="depth"):
        summary(nn.Linear(1, 1), 0)
