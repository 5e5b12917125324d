"""Averages and modes on their own."""

from __future__ import annotations

from collections import UserDict
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from perceptrain_core.counts import rows_of
from perceptrain_core.models.modes import evaluating, training
from perceptrain_core.training.averages import Averages

numbers = st.floats(-1e6, 1e6, width=32)
batches = st.lists(
    st.tuples(numbers, st.dictionaries(st.sampled_from("ab"), numbers)), min_size=1, max_size=20
)


@dataclass
class Pair:
    x: Any
    y: Any


@given(batches=batches, as_tensors=st.booleans())
def test_meter_gives_means_over_the_batches_that_have_a_metric(
    batches: list[Any], as_tensors: bool
) -> None:
    meter = Averages("train")
    wrap = torch.tensor if as_tensors else float
    for loss, metrics in batches:
        meter.add(torch.tensor(loss, dtype=torch.float64), {n: wrap(v) for n, v in metrics.items()})
    expected = {"train_loss": [loss for loss, _ in batches]}
    for _, metrics in batches:
        for name, value in metrics.items():
            expected.setdefault(f"train_{name}", []).append(value)
    means = {name: sum(values) / len(values) for name, values in expected.items()}
    assert meter.means() == pytest.approx(means, rel=1e-4, abs=1)
    assert meter.batches == len(batches)


def test_meter_of_nothing() -> None:
    (value,) = Averages("val").means().values()
    assert value != value


def test_modes_come_back_one_by_one() -> None:
    model = nn.Sequential(nn.Dropout(), nn.Sequential(nn.BatchNorm1d(1).eval(), nn.Dropout()))
    before = [module.training for module in model.modules()]
    with evaluating(model, None, 3):
        assert not any(module.training for module in model.modules())
        with training(model):
            assert all(module.training for module in model.modules())
        assert not any(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == before
    with pytest.raises(ZeroDivisionError), training(model):
        raise ZeroDivisionError
    assert [module.training for module in model.modules()] == before


@pytest.mark.parametrize(
    ("batch", "rows"),
    [
        (torch.zeros(3, 2), 3),
        ((torch.zeros(3, 2), torch.zeros(3)), 3),
        (((torch.zeros(4, 2), torch.zeros(4)), torch.zeros(4)), 4),
        ({"a": torch.zeros(5, 1), "b": torch.zeros(5, 1)}, 5),
        ({"a": torch.zeros(5, 1), "b": torch.zeros(1, 1)}, 1),
        (torch.tensor(1.0), 1),
        ([], 1),
        (None, 1),
        (torch.zeros(0, 2), 0),
        (np.zeros((6, 2)), 6),
        ({"x": torch.zeros(7, 1), "names": ["a"] * 7, "scale": torch.tensor(2.0)}, 7),
        (UserDict(x=torch.zeros(8, 1), y=torch.zeros(8)), 8),
        ((None, torch.zeros(9)), 9),
        (Pair(torch.zeros(3, 1), {"y": torch.zeros(3)}), 3),
        (Pair(torch.zeros(3, 1), torch.zeros(4)), 1),
        (["a", "b"], 1),
        (object(), 1),
    ],
)
def test_the_rows_of_a_batch(batch: Any, rows: int) -> None:
    assert rows_of(batch) == rows
