from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, r2_score, root_mean_squared_error

from perceptrain_core.reports.prediction_charts import prediction_charts
from perceptrain_core.reports.predictions_file import read_predictions
from perceptrain_core.reports.reported_run import read_run


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor])
def test_a_regression(kind):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=50)
    prediction = truth + rng.normal(scale=0.1, size=50)
    against, residuals = prediction_charts(kind(list(truth)), kind(list(prediction)), label="price")
    assert against.title == "price: predictions against the truth"
    rmse, r2 = root_mean_squared_error(truth, prediction), r2_score(truth, prediction)
    assert f"RMSE {rmse:.4g}, " in against.caption
    assert f"R² {r2:.4g}." in against.caption
    assert residuals.lines[0].points[3] == pytest.approx(
        (prediction[3], prediction[3] - truth[3]), rel=1e-5
    )


def test_rows_that_are_not_finite_are_counted():
    against, _ = prediction_charts([1.0, 2.0, 3.0], [1.0, float("nan"), 4.0])
    assert against.caption.startswith("2 rows; 1 row is not finite: RMSE")


def test_one_value_of_the_truth_has_no_r2():
    against, _ = prediction_charts([1.0, 1.0], [1.0, 2.0])
    assert "R²" not in against.caption


def test_no_rows_have_no_chart():
    assert prediction_charts([], []) == prediction_charts([], [], ["a"]) == []


def test_lengths_that_differ():
    with pytest.raises(ValueError, match="shorter"):
        prediction_charts([1.0, 2.0], [1.0])


def test_a_confusion_matrix():
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(3, size=40), rng.integers(3, size=40)
    (matrix,) = prediction_charts(truth, prediction, ["a", "b", "c"])
    assert np.array_equal(matrix.counts, confusion_matrix(truth, prediction))
    assert matrix.shares(1) == pytest.approx(
        confusion_matrix(truth, prediction, normalize="true")[1]
    )
    assert f"{(truth == prediction).sum()} of 40 rows are right" in matrix.caption
    (empty,) = prediction_charts([0], [0], ["a", "b"])
    assert empty.shares(1) == [0, 0]


def test_calibration():
    probabilities = [[0.8, 0.2]] * 10 + [[0.35, 0.65]] * 4
    truth = [0] * 8 + [1] * 2 + [1] * 2 + [0] * 2
    _, chart = prediction_charts(truth, [0] * 10 + [1] * 4, ["a", "b"], probabilities)
    assert chart.lines[0].points == [pytest.approx((0.65, 0.5)), pytest.approx((0.8, 0.8))]
    assert f"error is {0.15 * 4 / 14:.4g}" in chart.caption


def test_the_file(tmp_path):
    path = tmp_path / "predictions.csv"
    assert read_predictions(path) == []
    path.write_text("truth_a,prediction_a,truth_b,prediction_b\n1,2,x,y\n3,4,y,y\n5,6\n")
    a, b = read_predictions(path)
    assert (a.label, a.truth, a.prediction, a.classes) == ("a", [1, 3], [2, 4], None)
    assert (b.label, b.truth, b.prediction, b.classes) == ("b", [0, 1], [1, 1], ["x", "y"])
    path.write_text("truth,prediction,probability_z,probability_a\nz,a,0.25,0.75\n")
    (only,) = read_predictions(path)
    assert (only.classes, only.truth, only.prediction) == (["z", "a"], [0], [1])
    assert only.probabilities == [[0.25, 0.75]]


def test_classes_that_look_like_numbers_are_those_of_the_run(make_run):
    table = "truth,prediction\n0,0\n1,0\n1,1\n"
    folder = make_run("margins", predictions__csv=table, run__json='{"classes": ["0", "1", "2"]}')
    (found,) = read_run(folder, "margins").predictions
    assert found.classes == ["0", "1", "2"]
    assert (found.truth, found.prediction, found.probabilities) == ([0, 1, 1], [0, 0, 1], None)
    (plain,) = read_run(make_run("plain", predictions__csv=table), "plain").predictions
    assert plain.classes is None
