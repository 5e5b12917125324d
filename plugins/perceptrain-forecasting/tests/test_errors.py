"""What is wrong is said: what was given, what was expected, and what to do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import get_loss, get_metric
from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain_forecasting import read_forecast


def evaluate(name: str, outputs: Any, labels: Any, **options: Any) -> None:
    get_loss(name, **options)((outputs, labels), nn.Identity())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("crps", {"distribution": "norml"}, "Did you mean 'normal'"),
        ("crps", {"components": 0}, "components=0: expected a whole number of at least 1"),
        ("crps_ensemble", {"estimator": "pwm"}, "expected 'fair' or 'nrg'"),
        ("crps_ensemble", {"members": 1}, "members=1: expected a whole number of at least 2"),
        ("variogram_score", {"power": 0}, "power=0: expected a number above 0"),
        ("interval_score", {"level": 1}, "level=1: expected a number between 0 and 1"),
        ("weighted_interval_score", {"levels": [0.8, 0.5]}, "expected increasing numbers"),
        ("weighted_interval_score", {"levels": 0.5}, "levels=0.5: expected increasing numbers"),
    ],
)
def test_options_of_losses(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        get_loss(name, **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mean_crps", {"forecast": "ensemble"}, "expected 'normal', .* 'members' or 'quantiles'"),
        ("mean_crps", {"forecast": "quantiles"}, "quantiles=None: expected increasing"),
        ("mean_crps", {"quantiles": [0.5]}, r"quantiles=\[0.5\] is for forecast='quantiles'"),
        ("coverage", {"level": 0}, "level=0: expected a number between 0 and 1"),
        ("pit_calibration_error", {"bins": 1}, "bins=1: expected a whole number"),
        ("quantile_score", {"levels": []}, "expected increasing numbers"),
        (
            "spread_skill_ratio",
            {"forecast": "quantiles", "quantiles": [0.5]},
            "needs means and variances, which quantiles do not have",
        ),
    ],
)
def test_options_of_metrics(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        get_metric(name, **options)


@pytest.mark.parametrize(
    ("name", "outputs", "labels", "message"),
    [
        ("crps", (4, 3), (4, 2), r"expects 4 outputs for each of 4 rows: location, scale"),
        ("crps", (4, 2), (4, 1, 1), r"shape \(4, 1, 1\); expected \(N,\) or \(N, D\)"),
        ("crps", (3, 2), (4,), "for each of 4 rows"),
        ("crps_ensemble", (4, 5), (4, 2), r"expected members of shape \(4, M, 2\)"),
        ("energy_score", (4, 5, 3), (4, 2), r"expected members of shape \(4, M, 2\)"),
        ("variogram_score", (4, 5), (4,), "expects at least two"),
        ("interval_score", (4, 3), (4, 1), r"for 2 quantiles expected outputs .* \(4, 2\)"),
        ("weighted_interval_score", (4, 6), (4,), "for 7 quantiles"),
    ],
)
def test_shapes(name: str, outputs: tuple[int, ...], labels: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        evaluate(name, torch.randn(outputs), torch.randn(labels))


def test_tuples_of_parameters() -> None:
    labels, one = torch.randn(4), torch.ones(4)
    with pytest.raises(ShapeError, match=r"\(4,\), \(4, 1\).*expects \(location, scale\)"):
        evaluate("crps", (one, one[:, None]), labels)
    with pytest.raises(DataError, match=r"scale .* goes down to 0; expected numbers above 0. Ret"):
        evaluate("log_score", (one, 0 * one), labels)
    with pytest.raises(DataError, match=r"df .* goes down to 2; expected numbers above 2"):
        evaluate("crps", (one, one, 2 * one), labels, distribution="student_t")
    with pytest.raises(DataError, match=r"scale .* goes down to nan"):
        evaluate("crps", (one, torch.nan * one), labels)


def test_values() -> None:
    missing = torch.tensor([1.0, torch.nan, torch.nan])
    for name, size in {"crps": 2, "crps_ensemble": 4, "interval_score": 2}.items():
        with pytest.raises(DataError, match=r"2 of 3 labels are NaN; .* Leave out rows"):
            evaluate(name, torch.randn(3, size), missing)
    for name in ("lognormal", "gamma"):
        with pytest.raises(
            DataError, match="go down to 0; this distribution expects numbers above"
        ):
            evaluate("crps", torch.randn(3, 2), torch.zeros(3), distribution=name)
    with pytest.raises(DataError, match=r"has 1 members .* at least 2. Let the model return more"):
        evaluate("crps_ensemble", torch.randn(3, 1), torch.randn(3))
    with pytest.raises(DataError, match="has 3 members for 3 columns; expected at least 4"):
        evaluate("dawid_sebastiani", torch.randn(2, 3, 3), torch.randn(2, 3))
    with pytest.raises(DataError, match="has no inverse in 2 of 2 rows"):
        evaluate("dawid_sebastiani", torch.ones(2, 3), torch.randn(2))
    with pytest.raises(DataError, match="The labels are 3; expected a tensor"):
        evaluate("crps", torch.randn(3, 2), 3)
    with pytest.raises(DataError, match=r"expected \(inputs, labels\), a pair"):
        get_loss("crps")({"x": torch.ones(2)}, nn.Identity())


def test_quantiles_that_a_forecast_does_not_have() -> None:
    read = read_forecast(torch.randn(5, 3), "quantiles", quantiles=[0.1, 0.5, 0.9])
    with pytest.raises(ConfigError, match=r"level 0.05; expected one of 0.1, 0.5, 0.9"):
        read.quantiles([0.05])
    with pytest.raises(ConfigError, match="no mean and no variance"):
        read.mean()
    with pytest.raises(ConfigError, match="no mean and no variance"):
        read.variance()
    metric = get_metric("mean_crps")
    with pytest.raises(DataError, match="MeanCRPS has seen no labels"):
        metric.compute()
