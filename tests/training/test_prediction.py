"""Predictions of a trainer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from perceptrain import TrainConfig, Trainer
from perceptrain_core.errors import DataError

X = torch.rand(20, 3, generator=torch.Generator().manual_seed(0))


def trainer(model: nn.Module, loss="mse", **settings) -> Trainer:
    config = TrainConfig(max_iter=1, verbose=False, tracking_tool="none", **settings)
    return Trainer(model, "sgd", config, loss_fn=loss)


def test_values_are_those_of_the_model():
    model = nn.Sequential(nn.Linear(3, 1), nn.Dropout(0.5))
    found = trainer(model).predict(X)
    assert model.training
    with torch.no_grad():
        assert torch.equal(found.values, model.eval()(X))
    assert not found.values.requires_grad


@pytest.mark.parametrize("size", [1, 6, 20, 100])
def test_arrays_and_loaders_and_sizes(size):
    model = nn.Linear(3, 2)
    expected = trainer(model).predict(X).values
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X, X), batch_size=size)
    for data in (X.numpy(), loader):
        torch.testing.assert_close(trainer(model).predict(data, size).values, expected)


def test_classes_and_probabilities():
    model = nn.Linear(3, 4)
    found = trainer(model, "cross_entropy").predict(X)
    outputs = model(X).detach()
    torch.testing.assert_close(found.probabilities, outputs.softmax(1))
    assert torch.equal(found.values, outputs.argmax(1))
    assert found.classes == ("0", "1", "2", "3")


def test_a_logit_is_a_probability():
    model = nn.Linear(3, 1)
    found = trainer(model, "bce_with_logits").predict(X)
    torch.testing.assert_close(found.values, model(X).detach().sigmoid())


def test_after_a_fit_with_an_average_the_average_predicts():
    model = nn.Linear(3, 1)
    fitted = trainer(model, ema=0.5)
    fitted.fit((X, X.sum(1, keepdim=True)))
    average = fitted.averaged_model
    with torch.no_grad():
        torch.testing.assert_close(fitted.predict(X).values, average(X))


@pytest.mark.parametrize("data", ["rows.csv", {"x": X}, 3])
def test_other_data_are_refused(data):
    with pytest.raises(DataError, match="Expected a tensor or an array of rows"):
        trainer(nn.Linear(3, 1)).predict(data)


def test_no_rows_and_no_tensor():
    with pytest.raises(DataError, match="no rows to predict"):
        trainer(nn.Linear(3, 1)).predict(iter([]))
    with pytest.raises(DataError, match="returned a tuple"):
        trainer(nn.LSTM(3, 1)).predict(np.zeros((2, 3)))
