"""What a user can pass as metrics."""

from __future__ import annotations

from typing import Any

import pytest
import torchmetrics

from perceptrain import Metric, register_metric
from perceptrain.errors import ConfigError, OptionError, UnknownNameError
from perceptrain_core.training.metrics.resolve import resolve_metrics


@register_metric("always_one")
class One:
    def update(self, preds: Any, target: Any) -> None: ...

    def compute(self) -> float:
        return 1.0

    def reset(self) -> None: ...


@pytest.mark.parametrize(
    ("metrics", "labels"),
    [
        (None, []),
        ([], []),
        (["accuracy", {"name": "f1", "average": "micro"}], ["accuracy", "f1"]),
        ({"macro": "f1", "micro": {"name": "f1", "average": "micro"}}, ["macro", "micro"]),
        (("always_one", "perceptrain-core/r2", f"{__name__}:One"), ["always_one", "r2", "One"]),
        ([One(), torchmetrics.R2Score()], ["one", "r2_score"]),
        ([torchmetrics.AUROC("binary")], ["binary_auroc"]),
    ],
)
def test_labels(metrics: Any, labels: list[str]) -> None:
    found = resolve_metrics(metrics)
    assert list(found) == labels
    assert all(isinstance(metric, Metric) for metric in found.values())


def test_options_reach_the_metric() -> None:
    found: dict[str, Any] = resolve_metrics([{"name": "f1", "average": "micro"}])
    assert found["f1"].average == "micro"


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        ("f1", ConfigError, r"metrics='f1': expected a list"),
        (["f1", "f1"], ConfigError, "Two metrics are named 'f1'. Pass a mapping"),
        ({"loss": "f1"}, ConfigError, "label of a metric is 'loss'"),
        ({"": "f1"}, ConfigError, "label of a metric is ''"),
        ({3: "f1"}, ConfigError, "label of a metric is 3"),
        ({"one": One}, ConfigError, r"'one' is the class One: pass One\(\.\.\.\)"),
        ([lambda preds, target: 1], ConfigError, "or an object with update"),
        (["f2"], UnknownNameError, "no metric 'f2'.\nKnown metrics: accuracy"),
        ([{"name": "f1", "mean": "macro"}], OptionError, "mean"),
    ],
)
def test_what_is_refused(metrics: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        resolve_metrics(metrics)
