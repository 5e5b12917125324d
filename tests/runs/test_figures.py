from __future__ import annotations

import pytest

from perceptrain_core.runs.figures import validation_figures, weights_epoch

ROWS = [
    {"epoch": 1.0, "train_loss": 4.0, "val_loss": 3.0},
    {"epoch": 2.0, "train_loss": 3.0, "val_loss": 1.0},
    {"epoch": 3.0, "train_loss": 2.0, "val_loss": 2.0},
    {"epoch": 4.0, "train_loss": 1.0},
    {"epoch": 4.0, "test_loss": 5.0},
]


@pytest.mark.parametrize(
    ("val", "record", "epoch", "loss"),
    [
        ({"val_loss": 9.0}, {"epoch": 2}, 2, 9.0),
        ({}, {"epoch": 2}, 2, 1.0),
        ({}, {"epoch": 4}, 4, 2.0),
        ({}, {}, 4, 2.0),
        ({}, {"epoch": "two"}, 4, 2.0),
    ],
)
def test_the_weights_choose(
    val: dict[str, float], record: dict[str, object], epoch: int, loss: float
) -> None:
    assert weights_epoch(record, ROWS) == epoch
    assert validation_figures(val, record, ROWS) == {"val_loss": loss}


def test_nothing_before_the_first_epoch() -> None:
    assert weights_epoch({}, []) == 0
    assert validation_figures({}, {}, []) == {}
