import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from perceptrain_core.errors import ShapeError, TrainingError
from perceptrain_core.models import FFNN, get_parameters, num_parameters, set_parameters


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.booleans())
def test_there_and_back(layers, double):
    model = FFNN(layers).double() if double else FFNN(layers)
    theta = get_parameters(model)
    other = copy.deepcopy(model)
    set_parameters(other, torch.zeros(num_parameters(model)))
    assert all(not p.any() for p in other.parameters())
    set_parameters(other, theta)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)
        assert q.requires_grad
        assert q.is_leaf


def test_the_vector_is_a_copy_without_a_graph():
    model = nn.Linear(1, 1, bias=False)
    theta = get_parameters(model)
    before = model.weight.item()
    theta += 1
    assert model.weight.item() == before
    assert not theta.requires_grad


def test_frozen_parameters_do_not_count():
    model = nn.Linear(3, 2)
    model.weight.requires_grad_(False)
    weight = model.weight.clone()
    assert num_parameters(model) == 2
    set_parameters(model, np.array([1.0, 2.0]))
    assert model.bias.tolist() == [1, 2]
    assert model.bias.dtype is torch.float32
    assert torch.equal(model.weight, weight)
    assert get_parameters(nn.Tanh()).shape == (0,)


@pytest.mark.parametrize("theta", [torch.ones(5), torch.ones(7), torch.ones(2, 3), 1.0])
def test_a_wrong_length_changes_nothing(theta):
    model = nn.Linear(2, 2)
    before = get_parameters(model)
    with pytest.raises(ShapeError, match=r"expected shape \(6,\), one number for each"):
        set_parameters(model, theta)
    assert torch.equal(get_parameters(model), before)


@pytest.mark.parametrize("call", [get_parameters, num_parameters])
@pytest.mark.parametrize("wrong", [None, "model", nn.Tanh])
def test_something_else_than_a_model(call, wrong):
    with pytest.raises(TrainingError, match=r"Expected a model, a torch\.nn\.Module, not"):
        call(wrong)
