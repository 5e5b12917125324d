"""Parameters, randomness, and how estimators are used in scikit-learn."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from perceptrain import PerceptrainClassifier, PerceptrainRegressor
from perceptrain.callbacks import Callback
from perceptrain.errors import ConfigError, DataError, OptionError, UnknownNameError


def affine(inputs: int, outputs: int) -> nn.Module:
    return nn.Linear(inputs, outputs)


def test_the_same_seed_gives_the_same_network(wine: Any, quick: Any) -> None:
    first, second = (PerceptrainClassifier(**quick).fit(*wine) for _ in range(2))
    other = PerceptrainClassifier(**{**quick, "random_state": 1}).fit(*wine)
    np.testing.assert_array_equal(first.predict_proba(wine[0]), second.predict_proba(wine[0]))
    assert not np.array_equal(first.predict_proba(wine[0]), other.predict_proba(wine[0]))


def test_a_fit_leaves_the_generators_of_the_process(wine: Any, quick: Any) -> None:
    def draw() -> tuple[float, ...]:
        return random.random(), np.random.rand(), torch.rand(1).item()

    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    expected = draw()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    PerceptrainClassifier(**quick).fit(*wine)
    assert draw() == expected


def test_a_fit_prints_nothing_and_writes_no_files(
    wine: Any, quick: Any, tmp_path: Path, monkeypatch: Any, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    PerceptrainClassifier(**quick, early_stopping=True).fit(*wine).predict(wine[0])
    assert capfd.readouterr() == ("", "")
    assert not os.listdir(tmp_path)


def test_pickle_and_joblib(wine: Any, quick: Any, tmp_path: Path) -> None:
    fitted = PerceptrainClassifier(**quick).fit(*wine)
    expected = fitted.predict_proba(wine[0])
    joblib.dump(fitted, tmp_path / "file")
    for copy in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "file")):
        np.testing.assert_array_equal(copy.predict_proba(wine[0]), expected)


def test_parameters_are_stored_as_given_and_never_changed(wine: Any, quick: Any) -> None:
    module, loss = nn.Linear(13, 3), nn.CrossEntropyLoss()
    before = module.weight.clone()
    callback = Callback("train_epoch_end", callback=lambda *_: None)
    estimator = PerceptrainClassifier(**quick, model=module, loss=loss, callbacks=[callback])
    assert estimator.model is module
    estimator.fit(*wine)
    assert estimator.model is module
    assert estimator.model_ is not module
    assert torch.equal(module.weight, before)
    copy = clone(estimator)
    assert not hasattr(copy, "model_")
    assert torch.equal(copy.model.weight, before)


def test_options_of_parts_are_parameters() -> None:
    estimator = PerceptrainRegressor(loss={"name": "huber", "delta": 2.0})
    assert estimator.get_params()["loss__delta"] == 2.0
    assert "loss__delta" not in estimator.get_params(deep=False)
    estimator.set_params(loss__delta=0.5, optimizer__weight_decay=0.1, train__grad_clip=1.0)
    assert estimator.loss == {"name": "huber", "delta": 0.5}
    assert estimator.optimizer == {"name": "adam", "weight_decay": 0.1}
    assert estimator.train == {"grad_clip": 1.0}
    estimator.set_params(loss="quantile", loss__quantiles=0.9)
    assert estimator.loss == {"name": "quantile", "quantiles": 0.9}
    with pytest.raises(ValueError, match="Invalid parameter 'lss'"):
        estimator.set_params(lss="mse")


def test_options_reach_the_training(diabetes: Any, quick: Any) -> None:
    kwargs = {**quick, "max_iter": 2, "lr": None, "train": {"log_grad_norm": True}}
    estimator = PerceptrainRegressor(**kwargs, optimizer={"name": "sgd", "lr": 0.0})
    estimator.fit(*diabetes)
    assert estimator.loss_curve_[0] == pytest.approx(estimator.loss_curve_[1], rel=1e-6)
    assert estimator.history_[0]["train_grad_norm"] > 0
    assert estimator.n_iter_ == 2


def test_grid_search_over_losses(wine: Any, quick: Any) -> None:
    pipeline = make_pipeline(StandardScaler(), PerceptrainClassifier(**quick))
    losses = [{"name": "cross_entropy", "label_smoothing": 0.1}, "multi_margin"]
    grid = {"perceptrainclassifier__loss": losses}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(*wine)
    assert min(search.cv_results_["mean_test_score"]) > 0.9


@pytest.mark.parametrize("backend", ["threading", "multiprocessing"])
def test_jobs_train_side_by_side(wine: Any, quick: Any, backend: str) -> None:
    with joblib.parallel_backend(backend):
        scores = cross_val_score(PerceptrainClassifier(**quick), *wine, cv=2, n_jobs=2)
    assert min(scores) > 0.85


@pytest.mark.parametrize("model", ["ffnn", {"name": "ffnn"}, affine, nn.Linear, nn.Linear(13, 3)])
def test_models(wine: Any, quick: Any, model: Any) -> None:
    assert PerceptrainClassifier(**quick, model=model).fit(*wine).score(*wine) > 0.95


def test_the_ends_of_a_network_follow_from_the_data(wine: Any, quick: Any) -> None:
    assert PerceptrainClassifier(**quick).fit(*wine).model_.layers == (13, 16, 3)
    given = {"name": "ffnn", "layers": [13, 4, 3]}
    assert PerceptrainClassifier(**quick, model=given).fit(*wine).model_.layers == (13, 4, 3)


def test_faults_say_what_to_do(wine: Any, quick: Any) -> None:
    def fit(**params: Any) -> None:
        PerceptrainClassifier(**{**quick, **params}).fit(*wine)

    with pytest.raises(UnknownNameError, match="cros_entropy"):
        fit(loss="cros_entropy")
    with pytest.raises(OptionError, match="momentum"):
        fit(optimizer={"name": "adam", "momentum": 0.9})
    with pytest.raises(ConfigError, match=r"model=3: expected a name, .* nn\.Module"):
        fit(model=3)
    with pytest.raises(ConfigError, match=r"train has 'max_iter', which is the parameter max_iter"):
        fit(train={"max_iter": 3})
    with pytest.raises(ConfigError, match="standardize='all': expected True, False or 'inputs'"):
        fit(standardize="all")
    with pytest.raises(ConfigError, match=r"set early_stopping=True"):
        fit(metrics=["accuracy"])
    strange = PerceptrainClassifier(**quick, model=_Dict(), loss=_mean).fit(*wine)
    with pytest.raises(DataError, match="The model returned a dict"):
        strange.predict(wine[0])


class _Dict(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> Any:
        return {"x": self.factor * x}


def _mean(batch: Any, model: nn.Module) -> Any:
    return model(batch[0])["x"].square().mean(), {}


def test_early_stopping_restores_the_best_weights(diabetes: Any) -> None:
    estimator = PerceptrainRegressor(
        max_iter=200, lr=0.02, early_stopping=True, metrics=["mae"], random_state=0
    ).fit(*diabetes)
    losses = [row["val_loss"] for row in estimator.history_]
    assert estimator.n_iter_ == int(np.argmin(losses)) + 1 + 10 < 200
    assert estimator.history_[-1]["val_mae"] > 0


def test_ctrl_c_ends_more_than_one_fit(wine: Any, quick: Any) -> None:
    def interrupt(trainer: Any, *_: Any) -> None:
        trainer.interrupted = True
        trainer.stop_training = True

    callbacks = [Callback("train_epoch_end", callback=interrupt)]
    with pytest.raises(KeyboardInterrupt):
        PerceptrainClassifier(**quick, callbacks=callbacks).fit(*wine)


WITHOUT = """
import sys
sys.modules["sklearn"] = None
import perceptrain
from perceptrain import *
try:
    perceptrain.PerceptrainClassifier
except ImportError as error:
    assert 'pip install "perceptrain-core[sklearn]"' in str(error), error
else:
    raise AssertionError
"""

LIGHT = """
import sys
import perceptrain
from perceptrain import Trainer
assert "sklearn" not in sys.modules
perceptrain.PerceptrainRegressor
assert "sklearn" in sys.modules
"""


@pytest.mark.slow
@pytest.mark.parametrize("code", [WITHOUT, LIGHT], ids=["without", "light"])
def test_scikit_learn_is_imported_only_for_them(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)
