"""The metrics over a data set, against sums by hand, NumPy and known distributions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from typer.testing import CliRunner

from perceptrain import TrainConfig, Trainer, get_loss, get_metric, load_run
from perceptrain.errors import ConfigError
from perceptrain_core.cli.main import app
from perceptrain_forecasting import read_forecast
from perceptrain_forecasting.forecasts.of_family import FamilyForecast

LEVELS = [0.05, 0.25, 0.5, 0.75, 0.95]


def over(name: str, outputs: Any, labels: Tensor, size: int = 7, **options: Any) -> float:
    metric = get_metric(name, **options)
    for part in torch.arange(len(labels)).split(size):
        metric.update(outputs[part], labels[part])
    return float(metric.compute())


def raw_normal(location: Tensor, scale: Tensor) -> Tensor:
    """Outputs that mean these parameters: the inverse of the softplus."""
    return torch.stack([location, torch.log(torch.expm1(scale - 1e-6))], dim=1)


def drawn(rows: int = 4000) -> tuple[Tensor, Tensor, Tensor]:
    """Locations, scales, and labels that have these distributions."""
    location, scale = 3 * torch.randn(rows).double(), 0.5 + torch.rand(rows).double()
    return location, scale, location + scale * torch.randn(rows).double()


def test_the_true_distribution_is_calibrated() -> None:
    location, scale, labels = drawn()
    outputs = raw_normal(location, scale)
    assert over("coverage", outputs, labels, 900, level=0.8) == pytest.approx(0.8, abs=0.02)
    assert over("pit_calibration_error", outputs, labels, 900) < 0.01
    assert over("spread_skill_ratio", outputs, labels, 900) == pytest.approx(1, abs=0.03)
    expected = scale.mean().item() / np.sqrt(np.pi)  # the mean CRPS of the truth is s / sqrt(pi)
    assert over("mean_crps", outputs, labels, 900) == pytest.approx(expected, rel=0.03)
    width = 2 * stats.norm.ppf(0.9) * scale.mean().item()
    assert over("interval_width", outputs, labels, 900, level=0.8) == pytest.approx(width, rel=1e-9)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_spread_is_seen(factor: float) -> None:
    location, scale, labels = drawn(1000)
    outputs = raw_normal(location, factor * scale)
    assert over("spread_skill_ratio", outputs, labels, 900) == pytest.approx(factor, rel=0.1)
    assert over("pit_calibration_error", outputs, labels, 900) > 0.06


def test_metrics_of_a_distribution_are_those_of_scipy() -> None:
    location, scale, labels = drawn(50)
    outputs, truth = raw_normal(location, scale), stats.norm(location, scale)
    y = labels.numpy()
    lower, upper = truth.ppf(0.05), truth.ppf(0.95)
    assert over("coverage", outputs, labels) == np.mean((lower <= y) & (y <= upper))
    grid = np.arange(1, 20) / 20
    shares = (truth.cdf(y)[:, None] <= grid).mean(0)
    expected = np.abs(shares - grid).mean()
    assert over("pit_calibration_error", outputs, labels) == pytest.approx(expected, rel=1e-9)
    rmse = np.sqrt(np.mean((y - location.numpy()) ** 2))
    ratio = np.sqrt(np.mean(scale.numpy() ** 2)) / rmse
    assert over("spread_skill_ratio", outputs, labels) == pytest.approx(ratio, rel=1e-9)
    losses = [
        np.mean(np.maximum(q * (y - z), (q - 1) * (y - z)))
        for q in (0.1, 0.5, 0.9)
        for z in [truth.ppf(q)]
    ]
    assert over("quantile_score", outputs, labels) == pytest.approx(np.mean(losses), rel=1e-9)


def test_metrics_of_members_by_hand() -> None:
    members, labels = torch.randn(30, 9).double(), torch.randn(30).double()
    options: dict[str, Any] = {"forecast": "members"}
    y, x = labels.numpy(), members.numpy()
    lower, upper = np.quantile(x, [0.2, 0.8], axis=1, method="weibull")
    expected = np.mean((lower <= y) & (y <= upper))
    assert over("coverage", members, labels, level=0.6, **options) == expected
    found = over("interval_width", members, labels, level=0.6, **options)
    assert found == pytest.approx(np.mean(upper - lower))
    spread = np.sqrt(x.var(axis=1, ddof=1).mean() * 10 / 9)
    skill = np.sqrt(np.mean((y - x.mean(1)) ** 2))
    assert over("spread_skill_ratio", members, labels, **options) == pytest.approx(spread / skill)
    ranks = (x < y[:, None]).sum(1)
    shares = np.array([np.mean(ranks < k) for k in range(1, 10)])
    expected = np.abs(shares - np.arange(1, 10) / 10).mean()
    found = over("pit_calibration_error", members, labels, bins=10, **options)
    assert found == pytest.approx(expected)
    loss, _ = get_loss("crps_ensemble")((members, labels), nn.Identity())
    assert over("mean_crps", members, labels, **options) == pytest.approx(loss.item())


def test_a_rank_is_uniform_if_the_label_is_one_more_member() -> None:
    values = torch.randn(6000, 5).double()
    error = over("pit_calibration_error", values[:, 1:], values[:, 0], 999, forecast="members")
    assert error < 0.01


def test_metrics_of_quantiles_by_hand() -> None:
    labels = torch.randn(40).double()
    quantiles = torch.randn(40, 5).double().sort(1).values
    options: dict[str, Any] = {"forecast": "quantiles", "quantiles": LEVELS}
    inside = (quantiles[:, 0] <= labels) & (labels <= quantiles[:, -1])
    assert over("coverage", quantiles, labels, **options) == inside.double().mean()
    below = (labels[:, None] < quantiles).double().mean(0)
    expected = (below - torch.tensor(LEVELS)).abs().mean().item()
    found = over("pit_calibration_error", quantiles, labels, **options)
    assert found == pytest.approx(expected, rel=1e-6)
    loss, _ = get_loss("quantile", quantiles=LEVELS)((quantiles, labels), nn.Identity())
    assert over("mean_crps", quantiles, labels, **options) == pytest.approx(2 * loss.item())
    found = over("quantile_score", quantiles, labels, levels=[0.25, 0.75], **options)
    loss, _ = get_loss("quantile", quantiles=[0.25, 0.75])(
        (quantiles[:, [1, 3]], labels), nn.Identity()
    )
    assert found == pytest.approx(loss.item())


def test_crossed_quantiles_count_as_they_are() -> None:
    labels, quantiles = torch.randn(40).double(), torch.randn(40, 5).double()
    options: dict[str, Any] = {"forecast": "quantiles", "quantiles": LEVELS}
    y, columns = labels.numpy(), dict(zip(LEVELS, quantiles.numpy().T, strict=True))
    for level in (0.5, 0.9):
        lower, upper = (columns[round(end, 2)] for end in ((1 - level) / 2, (1 + level) / 2))
        inside = np.mean((lower <= y) & (y <= upper))
        assert over("coverage", quantiles, labels, level=level, **options) == inside
        found = over("interval_width", quantiles, labels, level=level, **options)
        assert found == pytest.approx(np.mean(upper - lower))
    losses = {q: np.mean(np.maximum(q * (y - z), (q - 1) * (y - z))) for q, z in columns.items()}
    found = over("mean_crps", quantiles, labels, **options)
    assert found == pytest.approx(2 * np.mean(list(losses.values())))
    found = over("quantile_score", quantiles, labels, levels=[0.25, 0.75], **options)
    assert found == pytest.approx((losses[0.25] + losses[0.75]) / 2)
    distances = [abs(np.mean(y < z) - q) for q, z in columns.items()]
    found = over("pit_calibration_error", quantiles, labels, **options)
    assert found == pytest.approx(np.mean(distances))


RUN = """
model = {name = "ffnn", hidden = [4]}
loss = {name = "weighted_interval_score", levels = [0.5, 0.8]}
[data]
file = "table.csv"
labels = "y"
scale_labels = true
[metrics]
coverage = {level = 0.5, forecast = "quantiles", quantiles = [0.1, 0.25, 0.5, 0.75, 0.9]}
mean_crps = {forecast = "quantiles", quantiles = [0.1, 0.25, 0.5, 0.75, 0.9]}
pit_calibration_error = {forecast = "quantiles", quantiles = [0.1, 0.25, 0.5, 0.75, 0.9]}
[train]
max_iter = 1
seed = 0
"""


def test_metrics_of_a_run_are_those_of_the_columns_that_it_predicts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    x = random.normal(size=(120, 2))
    y = 20 + x[:, 0] + random.normal(size=120)
    np.savetxt("table.csv", np.column_stack([x, y]), delimiter=",", header="a,b,y", comments="")
    Path("run.toml").write_text(RUN)
    for call in (["train", "run.toml"], ["predict", "runs/run", "table.csv", "-o", "found.csv"]):
        assert CliRunner().invoke(app, call, catch_exceptions=False).exit_code == 0
    columns = np.loadtxt("found.csv", delimiter=",", skiprows=1).T
    _, lower, _, upper, _ = columns
    assert np.mean(lower > upper) > 0.1, "a model after one epoch should cross its quantiles"
    figures = load_run("runs/run").test("table.csv")
    inside = np.mean((lower <= y) & (y <= upper))
    assert figures["test_coverage"] == pytest.approx(inside)
    each = list(zip((0.1, 0.25, 0.5, 0.75, 0.9), columns, strict=True))
    losses = [np.maximum(q * (y - z), (q - 1) * (y - z)).mean() for q, z in each]
    assert figures["test_mean_crps"] == pytest.approx(2 * np.mean(losses), rel=1e-4)
    distances = [abs(np.mean(y < z) - q) for q, z in each]
    assert figures["test_pit_calibration_error"] == pytest.approx(np.mean(distances))


@pytest.mark.parametrize("columns", [None, 2])
def test_metrics_of_regression_see_the_prediction_of_a_loss(columns: int | None) -> None:
    shape = (8,) if columns is None else (8, columns)
    labels, raw = torch.rand(shape).double() + 1, torch.randn(8, 30 * (columns or 1)).double()
    width = columns or 1
    cases: dict[str, tuple[dict[str, Any], Tensor, Any]] = {}
    quantiles = raw[:, : 5 * width]
    cases["weighted_interval_score"] = {"levels": [0.5, 0.8]}, quantiles, quantiles[:, 2::5]
    members = raw[:, : 6 * width]
    mean = sum(members[:, k * width : (k + 1) * width] for k in range(6)) / 6
    joint = () if columns is None else ("variogram_score",)  # of two columns or more
    for name in ("crps_ensemble", "energy_score", "dawid_sebastiani", *joint):
        cases[name] = {}, members, mean
    normal = raw[:, : 2 * width]
    cases["log_score"] = {}, normal, normal[:, :width]
    gamma = raw[:, : 2 * width]
    a, b = (nn.functional.softplus(part) + 1e-6 for part in gamma.chunk(2, 1))
    cases["crps"] = {"distribution": "gamma"}, gamma, a / b
    config = TrainConfig(batch_size=3, verbose=False, tracking_tool="none")
    for name, (options, outputs, predicted) in cases.items():
        loss, data = get_loss(name, **options), (outputs, labels)
        trainer = Trainer(nn.Identity(), None, config, loss, None, data, metrics=["rmse"])
        truth = (predicted.reshape(shape) - labels).square().mean().sqrt().item()
        assert trainer.validate()["val_rmse"] == pytest.approx(truth, rel=1e-6), name


def test_an_interval_has_no_prediction() -> None:
    config = TrainConfig(verbose=False, tracking_tool="none")
    data = torch.randn(8, 2), torch.randn(8)
    trainer = Trainer(nn.Identity(), None, config, "interval_score", None, data, metrics=["rmse"])
    with pytest.raises(ConfigError, match=r"The metric 'rmse' needs .* has none, .* mean_crps"):
        trainer.validate()


@pytest.mark.parametrize(
    ("name", "outputs"),
    [("student_t", 3), ("lognormal", 2), ("gamma", 2), ("normal_mixture", 9), ("logistic", 2)],
)
def test_quantiles_are_the_inverse_of_the_distribution_function(name: str, outputs: int) -> None:
    read = read_forecast(torch.randn(6, 2 * outputs), name, columns=2)
    assert isinstance(read, FamilyForecast)
    found = read.quantiles([0.03, 0.5, 0.97])
    assert found.shape == (6, 2, 3)
    for place, level in enumerate((0.03, 0.5, 0.97)):
        lower, upper = read.pit(found[..., place])
        torch.testing.assert_close(lower, torch.full_like(lower, level))
        assert lower is upper
    fine = read.quantiles(((np.arange(500) + 0.5) / 500).tolist())
    if name not in ("student_t", "lognormal"):  # their tails need more
        torch.testing.assert_close(fine.mean(-1), read.mean(), rtol=0.01, atol=0.02)
        torch.testing.assert_close(fine.var(-1), read.variance(), rtol=0.04, atol=0.02)


def test_in_a_validation() -> None:
    location, scale, labels = drawn(60)
    data = raw_normal(location, scale), labels
    config = TrainConfig(batch_size=7, verbose=False, tracking_tool="none")
    metrics = ["mean_crps", {"name": "coverage", "level": 0.5}]
    row = Trainer(
        nn.Identity(), None, config, "crps", val_dataloader=data, metrics=metrics
    ).validate()
    assert row["val_mean_crps"] == pytest.approx(row["val_loss"], rel=1e-6)
    assert row["val_coverage"] == over("coverage", *data, level=0.5)
