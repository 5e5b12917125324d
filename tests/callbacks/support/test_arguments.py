"""Arguments that cannot be, refused when a callback is made."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perceptrain import Callback
from perceptrain.callbacks import (
    EarlyStopping,
    GradientMonitoring,
    LoadCheckpoint,
    LogHyperparameters,
    LogModelTracker,
    LRSchedulerCosineAnnealing,
    LRSchedulerCyclic,
    LRSchedulerReduceOnPlateau,
    LRSchedulerStepDecay,
)
from perceptrain.errors import CallbackError

END = "train_epoch_end"

WRONG: list[tuple[type[Callback], tuple[Any, ...], dict[str, Any], str]] = [
    (EarlyStopping, (END, 1, "val_loss"), {"mode": "mim"}, "mode='mim': .* Did you mean 'min'"),
    (EarlyStopping, (END, 1, "val_loss"), {"mode": None}, "mode=None: expected 'min' or 'max'"),
    (EarlyStopping, (END, 1, "val_loss"), {"mode": ["min"]}, "expected 'min' or 'max'"),
    (EarlyStopping, (END, 1, 3), {}, "monitor must be the name of a metric, not 3"),
    (EarlyStopping, (END, 1, "val_loss", 0), {}, "patience=0: expected a whole .* at least 1"),
    (EarlyStopping, (END, 1, "val_loss"), {"patience": 2.5}, r"patience=2\.5: "),
    (EarlyStopping, (END, 1, "val_loss"), {"patience": True}, "patience=True: "),
    (
        EarlyStopping,
        (END, 1, "val_loss"),
        {"delta": -1.0},
        r"delta=-1\.0: expected a number of at least 0",
    ),
    (EarlyStopping, (END, 0), {}, "called_every=0: expected a whole number of at least 1"),
    (LRSchedulerReduceOnPlateau, (END, 1), {"mode": "maximum"}, "mode='maximum': expected"),
    (LRSchedulerReduceOnPlateau, (END, 1), {"patience": -1}, "patience=-1: .* at least 0"),
    (LRSchedulerReduceOnPlateau, (END, 1), {"gamma": 1.0}, r"gamma=1\.0: .* above 0 and below 1"),
    (LRSchedulerReduceOnPlateau, (END, 1), {"gamma": 0}, "gamma=0: expected a number above 0"),
    (LRSchedulerReduceOnPlateau, (END, 1), {"threshold": -1e-4}, "threshold=-0.0001: "),
    (LRSchedulerReduceOnPlateau, (END, 1), {"min_lr": float("inf")}, "min_lr=inf: "),
    (LRSchedulerStepDecay, (END, 1, 0.0), {}, r"gamma=0\.0: expected a number above 0"),
    (LRSchedulerStepDecay, (END, 1, "half"), {}, "gamma='half': "),
    (LRSchedulerStepDecay, (END, 1, float("nan")), {}, "gamma=nan: "),
    (LRSchedulerCyclic, (END, 1, -0.1, 0.2, 5), {}, r"base_lr=-0\.1: .* at least 0"),
    (LRSchedulerCyclic, (END, 1, 0.1, 0.0, 5), {}, r"max_lr=0\.0: expected a number above 0"),
    (LRSchedulerCyclic, (END, 1, 0.2, 0.1, 5), {}, r"max_lr=0\.1: expected at least base_lr, 0\.2"),
    (LRSchedulerCyclic, (END, 1, 0.1, 0.2, 0), {}, "step_size=0: expected a whole number"),
    (LRSchedulerCosineAnnealing, (END, 1, 0), {}, "t_max=0: expected a whole number of at least 1"),
    (LRSchedulerCosineAnnealing, (END, 1, 5, -1), {}, "min_lr=-1: expected a number of at least 0"),
    (LogHyperparameters, (0,), {}, "called_every"),
    (LogHyperparameters, (1, [1]), {}, r"hyperparams must be a mapping .*, not \[1\]"),
    (LoadCheckpoint, (), {"path": 3}, "path must name a checkpoint or a folder, not 3"),
    (LoadCheckpoint, ("model.pt",), {}, "There is no stage 'model.pt'"),
]


@pytest.mark.parametrize(("kind", "given", "options", "message"), WRONG)
def test_wrong_arguments(
    kind: type[Callback], given: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CallbackError, match=message):
        kind(*given, **options)


MORE: dict[type[Callback], tuple[Any, ...]] = {
    LRSchedulerCyclic: (1, 0.1, 0.2, 5),
    LRSchedulerCosineAnnealing: (1, 5),
}


@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        (EarlyStopping, "train_batch_end"),
        (EarlyStopping, "train_end"),
        (LRSchedulerStepDecay, "train_end"),
        (LRSchedulerStepDecay, "val_epoch_end"),
        (LRSchedulerCyclic, "val_batch_end"),
        (LRSchedulerCosineAnnealing, "train_start"),
        (LRSchedulerReduceOnPlateau, "train_epoch_start"),
        (GradientMonitoring, "train_batch_start"),
        (LogModelTracker, "test_batch_end"),
        (LoadCheckpoint, "train_end"),
    ],
)
def test_stages_that_do_not_fit(kind: type[Callback], stage: str) -> None:
    with pytest.raises(CallbackError, match=f"{kind.__name__} cannot run on '{stage}'; it runs on"):
        kind(stage, *MORE.get(kind, ()))


def test_numbers_of_numpy() -> None:
    stopping = EarlyStopping(patience=np.int64(3), delta=np.float32(0.5))  # type: ignore[arg-type]
    assert (stopping.patience, stopping.delta) == (3, 0.5)
    assert type(stopping.patience) is int
