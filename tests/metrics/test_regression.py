"""Metrics of regression against scikit-learn, whatever the batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn
from torch import Tensor

from perceptrain import Metric, get_metric
from perceptrain.errors import DataError, ShapeError

from .conftest import Over

TRUTHS = {
    "mae": sklearn.mean_absolute_error,
    "mse": sklearn.mean_squared_error,
    "rmse": lambda labels, outputs: np.sqrt(sklearn.mean_squared_error(labels, outputs)),
    "r2": sklearn.r2_score,
    "explained_variance": sklearn.explained_variance_score,
}


def data(columns: int, scale: float = 1.0, offset: float = 0.0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    labels = torch.randn(57, columns, generator=random, dtype=torch.float64) * scale + offset
    return labels + scale * (0.3 + torch.randn(labels.shape, generator=random)), labels


@pytest.mark.parametrize("size", [1, 8, 57])
@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("name", TRUTHS)
def test_as_in_scikit_learn(over: Over, name: str, columns: int, size: int) -> None:
    outputs, labels = data(columns)
    truth = TRUTHS[name](labels.numpy(), outputs.numpy())
    assert float(over(name, outputs, labels, size)) == pytest.approx(truth, rel=1e-12)


@pytest.mark.parametrize(("scale", "offset"), [(1e-6, 0.0), (1.0, 1e7), (1e6, 0.0)])
@pytest.mark.parametrize("name", ["r2", "explained_variance"])
def test_of_any_scale(over: Over, name: str, scale: float, offset: float) -> None:
    outputs, labels = data(2, scale, offset)
    truth = TRUTHS[name](labels.numpy(), outputs.numpy())
    assert float(over(name, outputs, labels, 8)) == pytest.approx(truth, rel=1e-7)


@pytest.mark.parametrize("name", ["r2", "explained_variance"])
@pytest.mark.parametrize("error", [0.0, 1.0])
def test_constant_labels_as_in_scikit_learn(over: Over, name: str, error: float) -> None:
    labels = torch.ones(9, 1)
    outputs = labels + error * torch.arange(9.0).unsqueeze(-1)
    assert float(over(name, outputs, labels)) == TRUTHS[name](labels.numpy(), outputs.numpy())


def test_one_row_has_no_r2(over: Over) -> None:
    assert over("r2", torch.ones(1, 1), torch.ones(1, 1)).isnan()


@pytest.mark.parametrize("name", TRUTHS)
def test_merging_two_shares_is_the_whole(over: Over, name: str) -> None:
    outputs, labels = data(2)
    shares: list[Any] = [get_metric(name) for _ in range(3)]
    shares[0].update(outputs[:20], labels[:20])
    shares[1].update(outputs[20:], labels[20:])  # the third has seen nothing
    shares[2].merge_state(shares[0])
    shares[2].merge_state(shares[1].to("cpu"))
    assert float(shares[2].compute()) == pytest.approx(float(over(name, outputs, labels)))
    shares[2].reset()
    shares[2].merge_state(get_metric(name))
    with pytest.raises(DataError, match="has seen no rows"):
        shares[2].compute()


@pytest.mark.parametrize("name", TRUTHS)
def test_merging_two_weighted_shares_is_the_whole(name: str) -> None:
    outputs, labels = data(2)
    weights = torch.linspace(0, 3, len(labels), dtype=torch.float64)
    whole, first, second = (get_metric(name) for _ in range(3))
    whole.update(outputs, labels, weights)
    first.update(outputs[:20], labels[:20], weights[:20])
    second.update(outputs[20:], labels[20:], weights[20:].unsqueeze(1))
    first.merge_state(second.to("cpu"))
    assert float(first.compute()) == pytest.approx(float(whole.compute()), rel=1e-12)


def test_a_column_may_lack_its_dimension_and_nothing_else(over: Over) -> None:
    outputs, labels = data(1)
    assert over("mse", outputs, labels.squeeze(-1)) == over("mse", outputs, labels)
    with pytest.raises(ShapeError, match=r"\(7, 1\) and the labels have shape \(7, 2\)"):
        over("mse", outputs, labels.expand(-1, 2))
    with pytest.raises(ShapeError, match="expected the same"):
        over("mse", torch.ones(1, 4), torch.ones(4, 1))


@pytest.mark.parametrize(
    "labels", [None, [1.0], torch.tensor(1.0), torch.ones(2, dtype=torch.cfloat)]
)
def test_what_are_no_labels(labels: Any) -> None:
    with pytest.raises(DataError, match=r"The labels are .*expected a real tensor"):
        get_metric("mae").update(torch.ones(2), labels)


def test_empty_batches_and_low_precision(over: Over) -> None:
    metric = get_metric("mse")
    metric.update(torch.ones(0, 3), torch.ones(0, 3))
    metric.update(torch.full((2, 3), 2.0, dtype=torch.bfloat16), torch.ones(2, 3))
    assert metric.compute() == 1
    assert isinstance(metric, Metric)
