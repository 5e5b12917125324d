"""The metrics over a data set, against loops over pairs and scikit-survival."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sksurv.metrics import (
    brier_score,
    concordance_index_censored,
    concordance_index_ipcw,
    cumulative_dynamic_auc,
    integrated_brier_score,
)
from sksurv.util import Surv
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, get_loss, get_metric
from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain.testing import check_metric
from perceptrain_survival import (
    BreslowBaseline,
    CoxLoss,
    HazardLoss,
    WeibullLoss,
    kaplan_meier,
    survival_labels,
    weibull_times,
)

Array = NDArray[np.float64]
GRID = [0, 1, 2]
TIMES = [0.3, 0.6, 0.9]


def free_of(times: Array, happened: Array, leaves: Array, at: float) -> float:
    """Return Kaplan and Meier's product: what happens at each time, over who is at risk then."""
    product = 1.0
    for t in np.unique(times[times <= at]):
        at_risk = (times > t).sum() + leaves[times == t].sum()
        happen = happened[times == t].sum()
        product *= 1 - happen / at_risk if happen else 1.0
    return product


def survives(event: Array, time: Array, at: float) -> float:
    """Return the share of rows without an event up to a time."""
    return free_of(time, event, np.ones_like(event), at)


def uncensored(event: Array, time: Array, at: float) -> float:
    """Return the share of rows that are not censored up to a time; events come first."""
    return free_of(time, 1 - event, 1 - event, at)


def concordance(score: Array, event: Array, time: Array, uno: bool, until: float = np.inf) -> float:
    """Return the concordance index, pair by pair."""
    above = below = 0.0
    for i in range(len(time)):
        if event[i] == 0 or time[i] >= until:
            continue
        weight = 1.0
        if uno:
            free = uncensored(event, time, time[i])
            weight = 1 / free**2 if free else 0.0
        for j in range(len(time)):
            if time[j] > time[i] or (time[j] == time[i] and event[j] == 0):
                above += weight * (float(score[i] > score[j]) + 0.5 * float(score[i] == score[j]))
                below += weight
    return above / below


def auc(risk: Array, event: Array, time: Array, at: float) -> float:
    """Return the cumulative, dynamic AUC at a time, pair by pair."""
    above = below = 0.0
    for i in np.flatnonzero((time <= at) & (event == 1)):
        weight = 1 / uncensored(event, time, time[i])
        for j in np.flatnonzero(time > at):
            above += weight * (float(risk[i] > risk[j]) + 0.5 * float(risk[i] == risk[j]))
            below += weight
    return above / below


def brier(survival: Array, event: Array, time: Array, at: float) -> float:
    """Return the Brier score at a time, row by row."""
    total = 0.0
    for i in range(len(time)):
        if time[i] <= at and event[i]:
            total += survival[i] ** 2 / uncensored(event, time, time[i])
        elif time[i] > at:
            total += (1 - survival[i]) ** 2 / uncensored(event, time, at)
    return total / len(time)


def data(rows: int = 40, tied: bool = False) -> tuple[Tensor, Tensor]:
    """Return outputs of shape ``(N, 1)``, with equal ones, and labels, float64."""
    inputs, labels = weibull_times(rows)
    outputs = (2 * (inputs[:, :1] + inputs[:, 3:])).round() / 2
    if tied:
        labels[:, 1] = (10 * labels[:, 1]).ceil() / 10
    return outputs.double(), labels.double()


def parts(labels: Tensor) -> tuple[Array, Array]:
    return tuple(labels.numpy().T)


def structured(labels: Tensor) -> Any:
    event, time = parts(labels)
    return Surv.from_arrays(event == 1, time)


def value(name: str, outputs: Tensor, labels: Tensor, size: int = 7, **options: Any) -> float:
    """Return the metric, updated with batches."""
    metric = get_metric(name, **options)
    for batch in zip(outputs.split(size), labels.split(size), strict=True):
        metric.update(*batch)
    return float(metric.compute())


@pytest.mark.parametrize("tied", [False, True])
def test_kaplan_meier_by_hand(tied: bool) -> None:
    _, labels = data(tied=tied)
    times = torch.linspace(0, 2, 9, dtype=torch.float64)
    event, time = parts(labels)
    truth = [survives(event, time, t) for t in times.tolist()]
    np.testing.assert_allclose(kaplan_meier(labels)(times), truth, rtol=1e-12)
    truth = [uncensored(event, time, t) for t in times.tolist()]
    np.testing.assert_allclose(kaplan_meier(labels, censoring=True)(times), truth, rtol=1e-12)


def test_kaplan_meier_of_a_table() -> None:
    """Weeks of remission of 21 patients with leukemia (Freireich 1963), as in textbooks."""
    weeks = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    censored = [3, 5, 7, 8, 11, 12, 13, 16, 17, 18, 19, 20]
    event = [float(row not in censored) for row in range(21)]
    curve = kaplan_meier(survival_labels(torch.tensor(event), torch.tensor(weeks)))
    found = curve(torch.tensor([5, 6, 7, 10, 13, 16, 22, 23, 40]))
    truth = [1, 0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448, 0.448]
    np.testing.assert_allclose(found, truth, atol=5e-4)


@pytest.mark.parametrize("tied", [False, True])
def test_concordance_by_hand_and_as_in_scikit_survival(tied: bool) -> None:
    outputs, labels = data(tied=tied)
    score, (event, time) = outputs[:, 0].numpy(), parts(labels)
    found = value("concordance_index", outputs, labels)
    assert found == pytest.approx(concordance(score, event, time, uno=False), rel=1e-12)
    assert found == pytest.approx(concordance_index_censored(event == 1, time, score)[0])
    known = structured(labels)
    for until in (1.0, None):
        found = value("concordance_index", outputs, labels, method="uno", until=until)
        truth = concordance(score, event, time, True, until or np.inf)
        assert found == pytest.approx(truth, rel=1e-12)
    other = concordance_index_ipcw(known, known, score, tau=1.0)[0]
    assert value("concordance_index", outputs, labels, method="uno", until=1.0) == pytest.approx(
        other
    )


@pytest.mark.parametrize("tied", [False, True])
def test_auc_by_hand_and_as_in_scikit_survival(tied: bool) -> None:
    outputs, labels = data(tied=tied)
    score, (event, time) = outputs[:, 0].numpy(), parts(labels)
    found = [value("time_auc", outputs, labels, times=[t]) for t in TIMES]
    assert found == pytest.approx([auc(score, event, time, t) for t in TIMES], rel=1e-12)
    known = structured(labels)
    each, mean = cumulative_dynamic_auc(known, known, score, TIMES)
    np.testing.assert_allclose(found, each)
    assert value("time_auc", outputs, labels, times=TIMES) == pytest.approx(mean)
    deciles = np.unique(np.quantile(time[event == 1], np.arange(1, 10) / 10, method="lower"))
    mean = cumulative_dynamic_auc(known, known, score, deciles)[1]
    assert value("time_auc", outputs, labels) == pytest.approx(mean)


@pytest.mark.parametrize("loss", ["cox", "weibull", "hazard"])
def test_brier_scores_by_hand_and_as_in_scikit_survival(loss: str) -> None:
    outputs, labels = data()
    outputs = outputs * torch.tensor(
        [[1.0, 0.3, -0.3][: {"cox": 1, "weibull": 2, "hazard": 3}[loss]]]
    )
    options: dict[str, Any] = {"loss": loss} | ({"grid": GRID} if loss == "hazard" else {})
    turns = {"cox": CoxLoss(), "weibull": WeibullLoss(), "hazard": HazardLoss(grid=GRID)}
    baseline = BreslowBaseline.fit(outputs, labels) if loss == "cox" else None
    curves = (
        turns[loss].survival(outputs, torch.tensor(TIMES, dtype=torch.float64), baseline).numpy()
    )
    event, time = parts(labels)
    truth = [brier(row, event, time, t) for row, t in zip(curves.T, TIMES, strict=True)]
    found = [value("brier_score", outputs, labels, at=t, **options) for t in TIMES]
    assert found == pytest.approx(truth, rel=1e-12)
    known = structured(labels)
    np.testing.assert_allclose(found, brier_score(known, known, curves, TIMES)[1])
    mean = integrated_brier_score(known, known, curves, TIMES)
    found_mean = value("integrated_brier_score", outputs, labels, times=TIMES, **options)
    assert found_mean == pytest.approx(mean)
    first, last = time[event == 1].min(), np.quantile(time[event == 1], 0.9, method="lower")
    steps = np.linspace(first, last, 100)
    curves = turns[loss].survival(outputs, torch.from_numpy(steps), baseline).numpy()
    mean = integrated_brier_score(known, known, curves, steps)
    assert value("integrated_brier_score", outputs, labels, **options) == pytest.approx(mean)


def test_scores_of_weibull_and_hazard() -> None:
    outputs, labels = data()
    event, time = parts(labels)
    scale = -outputs * torch.tensor([[1.0, 0.0]])  # a large scale is a late event
    truth = concordance(outputs[:, 0].numpy(), event, time, uno=False)
    assert value("concordance_index", scale, labels, loss="weibull") == pytest.approx(truth)
    area = auc(outputs[:, 0].numpy(), event, time, 0.6)
    assert value("time_auc", scale, labels, loss="weibull", times=[0.6]) == pytest.approx(area)
    hazard = outputs.expand(-1, 3)
    found = value("concordance_index", hazard, labels, loss="hazard", grid=GRID)
    assert found == pytest.approx(truth)


def test_good_and_bad_scores() -> None:
    _, labels = data(200)
    perfect = -labels[:, 1:]
    assert value("concordance_index", perfect, labels) == 1
    assert value("concordance_index", -perfect, labels, method="uno") == 0
    assert value("time_auc", perfect, labels) == pytest.approx(1)
    assert value("concordance_index", 0 * perfect, labels) == 0.5
    assert np.isnan(value("concordance_index", perfect * torch.nan, labels))


NAMES: list[tuple[str, dict[str, Any]]] = [
    ("concordance_index", {"method": "uno"}),
    ("time_auc", {}),
    ("brier_score", {"at": 0.5}),
    ("integrated_brier_score", {}),
]


@pytest.mark.parametrize(("name", "options"), NAMES)
def test_the_contract_and_errors(name: str, options: dict[str, Any]) -> None:
    metric = get_metric(name, **options)
    outputs, labels = data()
    check_metric(metric, outputs, labels)
    metric.reset()
    with pytest.raises(DataError, match="has seen no rows"):
        metric.compute()
    with pytest.raises(ShapeError, match=r"labels = \[\"event\", \"time\"\]"):
        metric.update(outputs, labels[:, 0])
    with pytest.raises(ShapeError, match=r"\(40, 2\); cox expects \(N, 1\)"):
        metric.update(outputs.expand(-1, 2), labels)
    with pytest.raises(ShapeError, match="39 rows for 40 rows"):
        metric.update(outputs[1:], labels)
    metric.update(outputs, labels * torch.tensor([0, 1]))
    with pytest.raises(DataError, match="all 40 rows are censored"):
        metric.compute()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("concordance_index", {"until": 0.001}, "before until=0.001"),
        ("time_auc", {"times": [0.5, 9]}, "Nothing is known at the time 9"),
        ("brier_score", {"at": 0.0001}, "Nothing is known at the time 0.0001"),
        ("integrated_brier_score", {"times": [0.5, 50]}, "Nothing is known at the time 50"),
    ],
)
def test_times_without_data(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        value(name, *data(), **options)


@pytest.mark.parametrize("name", ["time_auc", "integrated_brier_score"])
def test_events_at_the_last_time_alone(name: str) -> None:
    labels = survival_labels(torch.tensor([0, 1, 1]), torch.tensor([1.0, 2.0, 2.0]))
    with pytest.raises(DataError, match=r"no row is observed after the events of the 3 .* to 2"):
        value(name, torch.zeros(3, 1), labels)


def test_a_time_is_that_of_the_labels_in_their_dtype() -> None:
    """0.1 is larger in float32 than in float64."""
    event, time = torch.tensor([1, 1, 0, 1]), [0.1, 0.3, 0.7, 0.9]
    outputs = torch.tensor([[0.3], [0.9], [0.1], [0.0]])
    at = torch.tensor(0.1, dtype=torch.float64)
    names: list[tuple[str, dict[str, Any]]] = [
        ("brier_score", {"at": 0.1}),
        ("brier_score", {"at": 0.7}),
        ("time_auc", {"times": [0.1, 0.3, 0.7]}),
        ("integrated_brier_score", {"times": [0.1, 0.7]}),
        ("integrated_brier_score", {}),
        ("concordance_index", {"until": 0.3}),
    ]
    both = [
        survival_labels(event, torch.tensor(time, dtype=dtype))
        for dtype in (torch.float32, torch.float64)
    ]
    for labels in both:
        assert kaplan_meier(labels)(at).item() == 0.75
        assert BreslowBaseline.fit(outputs, labels)(at).isfinite()
    for name, options in names:
        found, truth = (value(name, outputs, labels, **options) for labels in both)
        assert found == pytest.approx(truth, rel=1e-6), name


def test_times_of_numpy_and_torch() -> None:
    outputs, labels = data()
    truth = value("time_auc", outputs, labels, times=TIMES)
    given = np.array(TIMES), torch.tensor(TIMES, dtype=torch.float64), list(np.array(TIMES))
    assert [value("time_auc", outputs, labels, times=times) for times in given] == [truth] * 3
    at = [value("brier_score", outputs, labels, at=t) for t in (0.5, np.float32(0.5))]
    assert at[0] == at[1]
    grids = [0, 1, 2], np.arange(3), torch.arange(3.0), [np.int64(0), np.float32(1), 2]
    assert {HazardLoss(grid=grid).grid for grid in grids} == {(0.0, 1.0, 2.0)}
    for wrong in (np.zeros((3, 2)), np.array([False, True]), np.array([0, np.nan, 2]), "012"):
        with pytest.raises(ConfigError, match="expected at least three increasing times"):
            HazardLoss(grid=wrong)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "coxx"}, "coxx"),
        ({"loss": "hazard"}, "needs a grid"),
        ({"grid": GRID}, "leave it out"),
        ({"method": "uni"}, "uni"),
        ({"until": -1.0}, "increasing times above 0"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        get_metric("concordance_index", **options)


def test_in_a_validation_it_is_that_of_all_rows() -> None:
    inputs, labels = weibull_times(30)
    config = TrainConfig(batch_size=4, verbose=False, tracking_tool="none")
    model = nn.Linear(4, 1)
    metrics = ["concordance_index", "time_auc"]
    trainer = Trainer(model, None, config, "cox", val_dataloader=(inputs, labels), metrics=metrics)
    with torch.no_grad():
        score = model(inputs)[:, 0].numpy()
    truth = concordance(score, *parts(labels), uno=False)
    assert trainer.validate()["val_concordance_index"] == pytest.approx(truth)


@pytest.mark.parametrize(
    ("name", "options", "width"),
    [("cox", {}, 1), ("weibull", {}, 2), ("hazard", {"grid": [0, 1, 2]}, 3)],
)
def test_metrics_of_regression_are_refused(name: str, options: Any, width: int) -> None:
    _, labels = data(20)
    outputs = torch.randn(20, width).double()
    config = TrainConfig(verbose=False, tracking_tool="none")
    loss, rows = get_loss(name, **options), (outputs, labels)
    trainer = Trainer(nn.Identity(), None, config, loss, None, rows, metrics=["rmse"])
    with pytest.raises(ConfigError, match=rf"'rmse' needs .* the loss {name}.* concordance_index"):
        trainer.validate()
