"""The plugin as a whole."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import get_loss, get_metric
from perceptrain.testing import check_loss, check_metric, check_plugin
from perceptrain_forecasting import perceptrain_losses, perceptrain_metrics

LOSSES: list[tuple[str, dict[str, Any]]] = [
    *((spec.name, {}) for spec in perceptrain_losses()),
    *(("crps", {"distribution": name}) for name in ("student_t", "gamma", "normal_mixture")),
    ("log_score", {"distribution": "lognormal"}),
]
LEVELS = {"forecast": "quantiles", "quantiles": [0.05, 0.1, 0.5, 0.9, 0.95]}
METRICS: list[tuple[str, dict[str, Any], int]] = [
    *((spec.name, {}, 2) for spec in perceptrain_metrics()),
    *((spec.name, {"forecast": "members"}, 7) for spec in perceptrain_metrics()),
    *((s.name, LEVELS, 5) for s in perceptrain_metrics() if s.name != "spread_skill_ratio"),
]


def test_the_plugin_keeps_the_contract() -> None:
    check_plugin("perceptrain-forecasting")


@pytest.mark.parametrize(("name", "options"), LOSSES)
def test_each_loss_keeps_the_contract(name: str, options: dict[str, Any]) -> None:
    loss_fn: Any = get_loss(name, **options)
    batch = torch.randn(8, 3), torch.rand(8, 2) + 0.1
    check_loss(loss_fn, batch, nn.Linear(3, loss_fn.output_size(2, **options)))


@pytest.mark.parametrize(("name", "options", "outputs"), METRICS)
def test_each_metric_keeps_the_contract(name: str, options: dict[str, Any], outputs: int) -> None:
    check_metric(get_metric(name, **options), torch.randn(12, 2 * outputs), torch.randn(12, 2))
