from __future__ import annotations

from math import inf, nan
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from perceptrain import OptimizeResult, TrainConfig
from perceptrain_core.trackers import NoTracker, Tracker, format_metrics


@pytest.mark.parametrize("kind", [Tracker, NoTracker])
def test_every_method_does_nothing_but_print(
    kind: type[Tracker], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracker, model = kind(), nn.Linear(1, 1)
    tracker.open(TrainConfig(log_folder=tmp_path))
    tracker.write(1, {"a": 1.0})
    tracker.log_hyperparams({"a": 1})
    tracker.plot(model, 1, ())
    tracker.log_model(model)
    tracker.print_metrics(OptimizeResult(3, model, None, metrics={"train_loss": 0.25}))
    tracker.fail(ValueError())
    tracker.close()
    assert capsys.readouterr().out == "epoch      3  train_loss    0.250000\n"
    assert list(tmp_path.iterdir()) == []


NUMBERS = {
    1e6: " 1.0000e+06",
    1e3: " 1.0000e+03",
    999.9999999: "1000.000000",
    -12.5: " -12.500000",
    1 / 3: "   0.333333",
    1e-3: "   0.001000",
    -9.9999e-4: "-9.9999e-04",
    1e-12: " 1.0000e-12",
    0.0: "   0.000000",
    nan: "        nan",
    -inf: "       -inf",
}


def result(epoch: int, **metrics: float) -> OptimizeResult:
    return OptimizeResult(epoch, nn.Linear(1, 1), None, metrics=metrics)


@pytest.mark.parametrize("value", NUMBERS)
def test_a_number_takes_eleven_characters(value: float) -> None:
    line = format_metrics(result(1, train_loss=torch.tensor(value, dtype=torch.float64)))
    assert line == f"epoch      1  train_loss {NUMBERS[value]}"


numbers = st.floats(-1e9, 1e9, width=32)


@given(epoch=st.integers(0, 999_999), values=st.lists(numbers, min_size=2, max_size=2), val=numbers)
def test_columns_stay_where_they_are(epoch: int, values: list[float], val: float) -> None:
    a, b = (
        format_metrics(result(e, train_loss=v, **more))
        for e, v, more in zip((9, epoch), values, ({}, {"val_loss": val}), strict=True)
    )
    assert len(a) == b.index("  val_loss")
    assert a.index("train_loss") == b.index("train_loss")


def test_a_line_too_long_for_the_terminal_is_a_block() -> None:
    metrics = {"train_loss": 1.0, "train_boundary": 2e-9, "val_loss": -3.0}
    whole = format_metrics(result(7, **metrics))
    assert "\n" not in whole
    assert format_metrics(result(7, **metrics), len(whole)) == whole
    assert format_metrics(result(7, **metrics), 60).splitlines() == [
        "epoch      7",
        "  train_loss        1.000000  train_boundary  2.0000e-09",
        "  val_loss         -3.000000",
    ]
    assert len(format_metrics(result(7, **metrics), 1).splitlines()) == 4
