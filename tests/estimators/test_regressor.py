"""The regressor against scikit-learn's, and with each kind of loss."""

from __future__ import annotations

import pickle
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression, PoissonRegressor, QuantileRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from torch import nn

from perceptrain import PerceptrainRegressor, get_loss
from perceptrain.errors import ConfigError, DataError, ShapeError

LOSSES = ["mse", "l1", "smooth_l1", "huber", "quantile", "relative_l2", "gaussian_nll"]


def test_accuracy_is_that_of_scikit_learn(diabetes: Any) -> None:
    network = MLPRegressor(hidden_layer_sizes=(64, 64), early_stopping=True, random_state=0)
    scaled = TransformedTargetRegressor(network, transformer=StandardScaler())
    theirs = make_pipeline(StandardScaler(), scaled)
    ours = PerceptrainRegressor(early_stopping=True, random_state=0)
    scores = [cross_val_score(each, *diabetes, cv=3).mean() for each in (theirs, ours)]
    assert scores[1] > max(0.4, scores[0] - 0.05)


def test_without_hidden_layers_it_is_linear_regression(diabetes: Any, linear: Any) -> None:
    X, y = diabetes
    ours, theirs = PerceptrainRegressor(**linear).fit(X, y), LinearRegression().fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-4)


def test_counts(diabetes: Any, linear: Any) -> None:
    X = diabetes[0] * 20
    y = np.random.default_rng(0).poisson(np.exp(X[:, 0] + 1)).astype(float)
    ours = PerceptrainRegressor(**linear, loss="poisson_nll").fit(X, y)
    theirs = PoissonRegressor(alpha=0, tol=1e-10, max_iter=1000).fit(X, y)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-3)


def test_a_quantile(diabetes: Any) -> None:
    X, y = diabetes
    loss = {"name": "quantile", "quantiles": 0.9}
    ours = PerceptrainRegressor(
        hidden=(), loss=loss, lr=0.05, max_iter=60, batch_size=100, random_state=0
    ).fit(X, y)
    theirs = QuantileRegressor(quantile=0.9, alpha=0).fit(X, y)
    assert np.mean(y < ours.predict(X)) == pytest.approx(0.9, abs=0.02)
    assert np.corrcoef(ours.predict(X), theirs.predict(X))[0, 1] > 0.95


def test_several_quantiles(diabetes: Any) -> None:
    X, y = diabetes
    levels = [0.9, 0.5, 0.1]
    loss = {"name": "quantile", "quantiles": levels}
    ours = PerceptrainRegressor(
        hidden=(), loss=loss, lr=0.05, max_iter=60, batch_size=100, random_state=0
    ).fit(X, y)
    quantiles = ours.predict_all(X)
    assert (y[:, None] < quantiles).mean(0) == pytest.approx(levels, abs=0.04)
    np.testing.assert_array_equal(ours.predict(X), quantiles[:, 1])
    assert ours.score(X, y) > 0.4
    assert cross_val_score(ours.set_params(max_iter=2), X, y, cv=2).shape == (2,)


@pytest.mark.parametrize(
    ("loss", "outputs"),
    [
        ({"name": "crps_ensemble", "members": 4}, 4),
        (partial(get_loss, "crps_ensemble", members=3), 3),
        ("interval_score", 2),
        ({"name": "weighted_interval_score", "levels": [0.5, 0.9]}, 5),
    ],
)
def test_losses_of_plugins_with_several_outputs(
    diabetes: Any, quick: Any, loss: Any, outputs: int
) -> None:
    X, y = diabetes
    loss = loss() if callable(loss) else loss
    fitted = PerceptrainRegressor(**quick, loss=loss).fit(X, y)
    predictions = fitted.predict_all(X)
    assert predictions.shape == (442, outputs)
    assert np.corrcoef(predictions.mean(1), y)[0, 1] > 0.4
    assert y.min() < predictions.mean() < y.max()
    if outputs == 2:  # an interval has no prediction
        np.testing.assert_array_equal(fitted.predict(X), predictions)
        return
    points = predictions[:, 2] if outputs == 5 else predictions.mean(1)
    np.testing.assert_allclose(fitted.predict(X), points, rtol=1e-5)
    assert fitted.score(X, y) == pytest.approx(r2_score(y, points), rel=1e-4)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(X), fitted.predict(X))


def test_all_outputs_need_the_unit_of_one_target(diabetes: Any, quick: Any) -> None:
    X, y = diabetes
    fitted = PerceptrainRegressor(**quick).fit(X, y)
    np.testing.assert_array_equal(fitted.predict_all(X)[:, 0], fitted.predict(X))
    with pytest.raises(ConfigError, match="has other parameters than predictions among"):
        PerceptrainRegressor(**{**quick, "max_iter": 1}, loss="gaussian_nll").fit(X, y).predict_all(
            X
        )
    both = np.stack([y, y], 1)
    with pytest.raises(ConfigError, match=r"has 4 outputs for 2 columns of y, .*standardize="):
        PerceptrainRegressor(**quick, loss="interval_score").fit(X, both)
    raw = PerceptrainRegressor(**quick, loss="interval_score", standardize="inputs").fit(X, both)
    assert raw.predict(X).shape == (442, 4)


@pytest.mark.parametrize("loss", ["cox", "weibull"])
def test_survival(diabetes: Any, quick: Any, loss: str) -> None:
    X, y = diabetes
    labels = np.stack([y > 100, y], 1)
    fitted = PerceptrainRegressor(**quick, loss=loss).fit(X, labels)
    predictions = fitted.predict(X)
    assert predictions.shape == (442,)
    assert abs(np.corrcoef(predictions, y)[0, 1]) > 0.4
    with pytest.raises(ShapeError, match="the columns event and time") as caught:
        PerceptrainRegressor(**quick, loss=loss).fit(X, y)
    assert "passes the columns of y as labels, floats of shape (N, 1)," in str(
        caught.value.__notes__
    )


@pytest.mark.parametrize("loss", [*LOSSES, nn.MSELoss()], ids=str)
def test_losses(diabetes: Any, quick: Any, loss: Any) -> None:
    fitted = PerceptrainRegressor(**quick, loss=loss).fit(*diabetes)
    assert fitted.score(*diabetes) > 0.4
    assert fitted.predict(diabetes[0]).shape == (442,)


@pytest.mark.parametrize("loss", ["mse", "gaussian_nll"])
def test_several_targets(diabetes: Any, quick: Any, loss: str) -> None:
    X, y = diabetes
    both = np.stack([y, -1000 * X[:, 2] + 5000], axis=1)
    fitted = PerceptrainRegressor(**quick, loss=loss).fit(X, both)
    predictions = fitted.predict(X)
    assert predictions.shape == both.shape
    assert np.corrcoef(predictions[:, 1], both[:, 1])[0, 1] > 0.9
    assert abs(predictions[:, 1].mean() - 5000) < 20


def test_a_model_may_return_the_mean_and_the_variance(diabetes: Any, quick: Any) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Linear(10, 2)

        def forward(self, x: torch.Tensor) -> Any:
            mean, variance = self.net(x).chunk(2, dim=1)
            return mean, variance.exp()

    fitted = PerceptrainRegressor(**quick, model=Both(), loss="gaussian_nll").fit(*diabetes)
    assert fitted.score(*diabetes) > 0.3


def test_figures_are_in_standard_deviations_unless_labels_stay(diabetes: Any, quick: Any) -> None:
    params = {**quick, "max_iter": 1}
    scaled = PerceptrainRegressor(**params).fit(*diabetes)
    raw = PerceptrainRegressor(**params, standardize="inputs").fit(*diabetes)
    assert scaled.loss_curve_[0] == pytest.approx(1.0, abs=0.3)
    assert raw.loss_curve_[0] > 1e4


def test_standardizing_twice_changes_nothing(diabetes: Any, quick: Any) -> None:
    X, y = scale(diabetes[0]), scale(diabetes[1])
    once = PerceptrainRegressor(**quick, standardize=False).fit(X, y)
    twice = PerceptrainRegressor(**quick).fit(X, y)
    np.testing.assert_allclose(once.predict(X), twice.predict(X), rtol=1e-6)


def test_large_targets_in_float32(diabetes: Any, quick: Any) -> None:
    X, y = diabetes[0].astype(np.float32), diabetes[1] + 1e6
    fitted = PerceptrainRegressor(**quick).fit(X, y)
    assert fitted.predict(X).dtype == np.float32
    assert next(fitted.model_.parameters()).dtype == torch.float32
    assert fitted.score(X, y) > 0.4


def test_weights_count_as_repeated_rows(diabetes: Any, quick: Any) -> None:
    X, y = diabetes
    weights = np.random.default_rng(0).integers(0, 3, size=len(y))
    params = {**quick, "batch_size": 2000}
    weighted = PerceptrainRegressor(**params).fit(X, y, sample_weight=weights)
    repeated = PerceptrainRegressor(**params).fit(X.repeat(weights, 0), y.repeat(weights))
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6)


def test_losses_that_do_not_fit_are_refused(diabetes: Any, quick: Any) -> None:
    X, y = diabetes
    with pytest.raises(ShapeError, match="one class") as caught:
        PerceptrainRegressor(**quick, loss="cross_entropy").fit(*diabetes)
    passed = "passes the columns of y as labels, floats of shape (N, 1), to the loss."
    assert passed in caught.value.__notes__[-1]
    with pytest.raises(DataError, match="expected class indices") as refused:
        PerceptrainRegressor(**quick, loss="multi_margin").fit(*diabetes)
    assert 'scaled (standardize="inputs" leaves them as they are)' in refused.value.__notes__[-1]
    several = {"name": "quantile", "quantiles": [0.1, 0.9]}
    with pytest.raises(ShapeError, match="for 2 quantiles expected outputs"):
        PerceptrainRegressor(**quick, loss=several).fit(X, np.stack([y, y], 1))
    with pytest.raises(DataError, match="expected class indices"):
        PerceptrainRegressor(**quick, loss="nll").fit(*diabetes)
