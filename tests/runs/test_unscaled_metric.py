"""Metrics in the units of the labels."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import mean_absolute_error

from perceptrain_core.data.tables.modules import Unscale
from perceptrain_core.metrics.regression import MAE, R2
from perceptrain_core.runs.unscaled_metric import UnscaledMetric


def test_outputs_and_labels_are_unscaled():
    outputs, labels = torch.randn(20, 2), torch.randn(20, 2)
    mean, scale = torch.tensor([1e6, 0.0]).double(), torch.tensor([10.0, 0.1]).double()
    metric = UnscaledMetric(MAE(), Unscale(mean.tolist(), scale.tolist()))
    for part in (slice(0, 7), slice(7, 20)):
        metric.update(outputs[part], labels[part])
    expected = mean_absolute_error(labels * scale + mean, outputs * scale + mean)
    assert float(metric.compute()) == pytest.approx(expected, rel=1e-9)
    metric.reset()
    metric.update(labels, labels)
    assert float(metric.compute()) == 0
    assert (metric.higher_is_better, UnscaledMetric(R2(), metric.unscale).higher_is_better) == (
        False,
        True,
    )
