"""The classifier against scikit-learn's, and with each kind of loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from torch import nn

from perceptrain import PerceptrainClassifier
from perceptrain.errors import ConfigError, DataError, ShapeError

TWO_CLASSES = ["cross_entropy", "nll", "bce_with_logits", nn.BCEWithLogitsLoss()]
MULTICLASS = ["cross_entropy", "nll", "multi_margin", nn.CrossEntropyLoss(label_smoothing=0.1)]


@pytest.mark.slow
def test_accuracy_is_that_of_scikit_learn(cancer: Any, wine: Any) -> None:
    for data in (cancer, wine):
        theirs = make_pipeline(StandardScaler(), MLPClassifier((64, 64), random_state=0))
        ours = PerceptrainClassifier(max_iter=100, random_state=0)
        scores = [cross_val_score(each, *data, cv=2).mean() for each in (theirs, ours)]
        assert scores[1] > scores[0] - 0.015


def test_probabilities_of_logistic_regression(wine: Any, linear: Any) -> None:
    """Without hidden layers and with weight decay, both minimize the same convex function."""
    X, y = scale(wine[0]), wine[1]
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(X, y)

    def penalized(batch: Any, model: Any) -> Any:
        entropy = nn.functional.cross_entropy(model(batch[0]), batch[1])
        return entropy + model.network[0].weight.square().sum() / 2 / len(y), {}

    penalized.output_activation = "softmax"  # type: ignore[attr-defined]
    ours = PerceptrainClassifier(**linear, loss=penalized, standardize=False).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("loss", MULTICLASS, ids=str)
def test_losses_of_several_classes(wine: Any, quick: Any, loss: Any) -> None:
    X, y = wine[0], np.array(["red", "rosé", "white"])[wine[1]]
    fitted = PerceptrainClassifier(**quick, loss=loss).fit(X, y)
    assert fitted.score(X, y) > 0.95
    assert list(fitted.classes_) == ["red", "rosé", "white"]
    decision = fitted.decision_function(X)
    np.testing.assert_array_equal(fitted.classes_[decision.argmax(1)], fitted.predict(X))


@pytest.mark.parametrize("loss", TWO_CLASSES, ids=str)
def test_two_classes(cancer: Any, quick: Any, loss: Any) -> None:
    fitted = PerceptrainClassifier(**quick, loss=loss).fit(*cancer)
    assert fitted.score(*cancer) > 0.95
    shares, decision = fitted.predict_proba(cancer[0]), fitted.decision_function(cancer[0])
    assert shares.shape == (569, 2)
    np.testing.assert_allclose(shares.sum(1), 1.0)
    np.testing.assert_allclose(shares[:, 1], 1 / (1 + np.exp(-decision)), atol=1e-12)
    np.testing.assert_array_equal(decision > 0, fitted.predict(cancer[0]) == 1)
    np.testing.assert_allclose(np.exp(fitted.predict_log_proba(cancer[0])), shares)


def test_one_logit_and_two_are_the_same_without_hidden_layers(cancer: Any, linear: Any) -> None:
    X, y = cancer[0][:, :2], cancer[1]
    one, two = (
        PerceptrainClassifier(**linear, loss=loss).fit(X, y).predict_proba(X)
        for loss in ("bce_with_logits", "cross_entropy")
    )
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_probabilities_exist_if_the_loss_has_them(wine: Any, quick: Any) -> None:
    assert hasattr(PerceptrainClassifier(), "predict_proba")
    margin = PerceptrainClassifier(**quick, loss="multi_margin").fit(*wine)
    for name in ("predict_proba", "predict_log_proba"):
        assert not hasattr(margin, name)
    with pytest.raises(AttributeError, match="predict_proba") as caught:
        margin.predict_proba(wine[0])
    assert "has no probabilities" in str(caught.value.__cause__)


def test_weights_count_as_repeated_rows(wine: Any, quick: Any) -> None:
    """Over several batches in which every row of the repeated data occurs once."""
    X, y = wine
    weights = np.random.default_rng(0).integers(0, 3, size=len(y))
    params = {**quick, "batch_size": 1000}
    weighted = PerceptrainClassifier(**params).fit(X, y, sample_weight=weights)
    repeated = PerceptrainClassifier(**params).fit(X.repeat(weights, 0), y.repeat(weights))
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6)
    plain = PerceptrainClassifier(**params).fit(X, y)
    assert abs(plain.predict_proba(X) - weighted.predict_proba(X)).max() > 1e-3


def test_losses_that_do_not_fit_are_refused(wine: Any, cancer: Any, quick: Any) -> None:
    def fit(loss: Any, data: Any = wine, **params: Any) -> Any:
        return PerceptrainClassifier(**{**quick, **params}, loss=loss).fit(*data)

    with pytest.raises(ConfigError, match=r"y has 3 classes.* Use cross_entropy, or .*OneVsRest"):
        fit("bce_with_logits")
    with pytest.raises(ShapeError) as caught:
        fit("mse")
    assert "passes class indices, int64 of shape (N,), as labels" in caught.value.__notes__[-1]
    with pytest.raises(DataError) as other:
        fit("soft_margin", cancer)
    assert "passes 0 and 1, floats of shape (N, 1), as labels" in other.value.__notes__[-1]
    with pytest.raises(DataError, match="y has only one class"):
        fit("cross_entropy", (wine[0], np.zeros(178)))
    wide = fit("cross_entropy", model=nn.Linear(13, 4))
    with pytest.raises(ShapeError, match=r"returned outputs of shape \(178, 4\).* the 3 classes"):
        wide.predict(wine[0])


def test_one_versus_rest_with_one_logit(wine: Any, quick: Any) -> None:
    each = PerceptrainClassifier(**quick, loss="bce_with_logits")
    assert OneVsRestClassifier(each).fit(*wine).score(*wine) > 0.95
