"""The scaling of tensors."""

from __future__ import annotations

import json

import pytest
import torch

from perceptrain_core.data.tables.tensor_preparation import TensorPreparation
from perceptrain_core.errors import DataError


def test_it_scales_and_is_read_back():
    x = torch.randn(20, 2, 3, dtype=torch.float64) * 4 + 7
    made = TensorPreparation.of(x.mean(0), x.std(0, correction=0))
    read = TensorPreparation.from_dict(json.loads(json.dumps(made.to_dict())))
    assert read == made
    scaled = read.input_module()(x)
    torch.testing.assert_close(scaled.mean(0), torch.zeros(2, 3, dtype=torch.float64))
    torch.testing.assert_close(scaled.std(0, correction=0), torch.ones(2, 3, dtype=torch.float64))
    assert read.input_module()(x.float()).dtype == torch.float32
    assert torch.equal(read.output_module()(x), x)


def test_it_scales_labels():
    made = TensorPreparation((1,), (0.0,), (1.0,), None, (100.0,), (10.0,))
    y = torch.tensor([[90.0], [120.0]])
    assert made.label_module()(y).tolist() == [[-1], [2]]
    assert torch.equal(made.output_module()(made.label_module()(y)), y)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": [1.0, 2.0]}, r"need a number for each value of shape \(1,\)"),
        ({"shape": [-1]}, "need a number for each value"),
        ({"scale": [0.0]}, "the scale above 0"),
        ({"label_mean": [1.0]}, "a number for each label"),
        ({"label_mean": [1.0], "label_scale": [-1.0]}, "the scale above 0"),
        ({"more": 1}, "more: Unexpected keyword"),
    ],
)
def test_what_is_no_preparation(change, message):
    whole = {"shape": [1], "mean": [0.0], "scale": [1.0]}
    with pytest.raises(DataError, match=message):
        TensorPreparation.from_dict({**whole, **change})
