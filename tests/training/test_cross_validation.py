"""Cross-validation in Python, against scikit-learn's on the same folds."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error
from torch import nn

from perceptrain import TrainConfig, Trainer, cross_validate
from perceptrain.errors import DataError, TrainingError
from perceptrain_core.data.files.folds import fold_rows
from perceptrain_core.data.files.splits import Splits

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(3, 2, (23, 2))
Y = X @ [[1.0], [-2.0]] + RANDOM.normal(0, 0.3, (23, 1))


def make(**settings: Any) -> Trainer:
    config = TrainConfig(max_iter=12, batch_size=23, seed=0, verbose=False, dtype="float64")
    for name, value in settings.items():
        setattr(config, name, value)
    exact = {"line_search_fn": "strong_wolfe", "tolerance_grad": 1e-12, "tolerance_change": 0}
    return Trainer(nn.Linear(2, 1), {"name": "lbfgs", **exact}, config)


def test_figures_are_those_of_a_least_squares_fit(tmp_path: Path) -> None:
    scores = cross_validate(
        lambda: make(root_folder=tmp_path), (X, Y), folds=4, seed=2, standardize=True
    )
    truth = []
    for fold in range(1, 5):
        splits = fold_rows(Splits((torch.tensor(X), torch.tensor(Y))), 4, fold, 2)
        model = LinearRegression().fit(*(part.numpy() for part in splits.train))
        truth.append(mean_squared_error(splits.val[1], model.predict(splits.val[0].numpy())))
    assert [row["val_loss"] for row in scores.rows] == pytest.approx(truth, rel=1e-6)
    assert scores.mean["val_loss"] == pytest.approx(np.mean(truth), rel=1e-6)
    assert scores.std["val_loss"] == pytest.approx(np.std(truth, ddof=1), rel=1e-6)
    assert len({id(trainer.model) for trainer in scores.trainers}) == 4
    # Scaled by the training rows of each fold, not by all rows.
    scaled = scores.trainers[0].train_dataloader[0]
    torch.testing.assert_close(scaled.mean(0), torch.zeros(2, dtype=scaled.dtype))
    assert scores.trainers[0].val_dataloader is None


def test_files_of_each_fold(tmp_path: Path) -> None:
    settings = {"root_folder": tmp_path, "log_folder": Path("cv"), "val_every": 1}
    scores = cross_validate(lambda: make(**settings, checkpoint_every=12), (X, Y), folds=2)
    assert sorted(path.parent.name for path in tmp_path.rglob("*.pt")) == ["fold_1", "fold_2"]
    for trainer, row in zip(scores.trainers, scores.rows, strict=True):
        assert trainer.history[-1]["val_loss"] == row["val_loss"]


def test_an_interrupted_fold_does_not_count(tmp_path: Path) -> None:
    made = []

    class Interrupted(Trainer):
        def on_train_epoch_end(self, *_: Any) -> None:
            if len(made) == 3:
                self.run_state.interrupted = self.run_state.stop_training = True

    def make_trainer() -> Trainer:
        made.append(make(root_folder=tmp_path))
        made[-1].__class__ = Interrupted
        return made[-1]

    scores = cross_validate(make_trainer, (X, Y), folds=5)
    assert len(made) == 3
    assert len(scores.rows) == len(scores.trainers) == 2
    losses = [row["val_loss"] for row in scores.rows]
    assert (scores.mean["val_loss"], scores.std["val_loss"]) == (fmean(losses), stdev(losses))


def test_what_is_refused(tmp_path: Path) -> None:
    same = make(root_folder=tmp_path)
    with pytest.raises(TrainingError, match="the model of an earlier fold"):
        cross_validate(lambda: same, (X, Y), folds=3)
    with pytest.raises(TrainingError, match="returned a Linear; expected a new Trainer"):
        cross_validate(lambda: nn.Linear(2, 1), (X, Y))  # type: ignore[arg-type,return-value]
    with pytest.raises(TrainingError, match=r"make_trainer is .*; expected a function without"):
        cross_validate(same, (X, Y))  # type: ignore[arg-type]
    with pytest.raises(DataError, match="23 rows cannot have fold 1 of 24"):
        cross_validate(make, (X, Y), folds=24)
