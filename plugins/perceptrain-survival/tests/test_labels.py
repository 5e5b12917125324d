"""Batches in their forms, and what is wrong with others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perceptrain import get_loss
from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain_survival import BreslowBaseline, CoxLoss, SurvivalLabels, survival_labels

INPUTS = torch.tensor([[0.5], [-1.0], [2.0]])
EVENT, TIME = torch.tensor([True, False, True]), torch.tensor([1.0, 2.0, 3.0])
NAN = torch.tensor([1.0, float("nan"), 3.0])


def loss_of(batch: Any, name: str = "cox") -> Tensor:
    return get_loss(name)(batch, nn.Identity())[0]  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "dtype", [torch.bool, torch.int64, torch.float32, torch.float64, torch.uint8]
)
def test_all_forms_of_a_batch_are_one(dtype: torch.dtype) -> None:
    event = EVENT.to(dtype)
    truth = loss_of((INPUTS, survival_labels(event, TIME)))
    for batch in (
        (INPUTS, event, TIME),
        [INPUTS[:, 0], event.unsqueeze(1), TIME.unsqueeze(1)],
        (INPUTS, event, TIME.long()),
        {"inputs": INPUTS, "event": event, "time": TIME},
        {"inputs": INPUTS, "event": event, "time": TIME, "strata": torch.zeros(3).long()},
        (INPUTS, torch.stack([event.float(), TIME, torch.ones(3)], 1)),
    ):
        torch.testing.assert_close(loss_of(batch), truth)


def test_labels_from_arrays_and_lists() -> None:
    labels = survival_labels(np.array([True, False]), np.array([1.5, 2.5]))
    assert labels.dtype is torch.float64
    assert labels.tolist() == [[1, 1.5], [0, 2.5]]
    assert survival_labels([1, 0], [3, 4]).dtype is torch.float32


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ((INPUTS, EVENT, -TIME), "time of row 0 is -1; expected a finite number of at least 0"),
        ((INPUTS, EVENT, NAN), "time of row 1 is nan; expected a finite number"),
        ((INPUTS, EVENT, TIME / 0), "time of row 0 is inf"),
        ((INPUTS, TIME, EVENT), "An event is 2; expected 1 if .* or booleans. The event comes bef"),
        ((INPUTS, NAN, TIME), "An event is nan"),
        (
            (INPUTS, torch.stack([EVENT.float() - 0.5, TIME], 1)),
            "An event is 0.5.*leave scale_labels out",
        ),
        ((INPUTS, torch.stack([EVENT, TIME], 1), TIME), "no sample weights"),
        (INPUTS, r"The batch is a tensor of shape \(3, 1\).*expected \(inputs, labels\)"),
        ((INPUTS, [1, 0, 1]), "The labels are a list of 3; expected"),
        ((INPUTS, EVENT, [1, 2, 3]), "'time' is a list of 3; expected a real tensor"),
        ((INPUTS, EVENT + 0j, TIME), "'event' is a tensor .*complex"),
        ({"inputs": INPUTS, "time": TIME}, "a dict with the keys 'inputs', 'time'"),
        ((INPUTS.long(), EVENT, TIME), "dtype torch.int64; expected a tensor of floats"),
    ],
)
def test_wrong_values(batch: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        loss_of(batch)


@pytest.mark.parametrize(
    ("batch", "name", "message"),
    [
        ((INPUTS, EVENT, TIME[1:]), "cox", "event 3, time 2; expected a value for each row"),
        ((INPUTS, EVENT, torch.ones(3, 1, 1)), "cox", r"'time' has shape \(3, 1, 1\)"),
        ((INPUTS[1:], EVENT, TIME), "cox", "2 rows for 3 rows of labels"),
        ((INPUTS, EVENT), "cox", r"labels have shape \(3,\); expected \(N, 2\)"),
        ((INPUTS.expand(-1, 2), EVENT, TIME), "cox", r"\(3, 2\); cox expects \(N, 1\): the log"),
        ((INPUTS.expand(-1, 3), EVENT, TIME), "weibull", r"expects \(N, 1\) or \(N, 2\): the log"),
    ],
)
def test_wrong_shapes(batch: Any, name: str, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        loss_of(batch, name)


def test_wrong_options() -> None:
    with pytest.raises(ConfigError, match="exact"):
        get_loss("cox", ties="exact")
    with pytest.raises(ConfigError, match="none"):
        get_loss("weibull", reduction="none")


def test_baselines_that_cannot_be() -> None:
    labels = SurvivalLabels.of(EVENT, TIME)
    with pytest.raises(ShapeError, match=r"shape \(3, 2\) for 3 rows"):
        BreslowBaseline.fit(INPUTS.expand(-1, 2), labels)
    with pytest.raises(DataError, match="There is no event"):
        BreslowBaseline.fit(INPUTS, SurvivalLabels.of(~EVENT & False, TIME))
    with pytest.raises(ConfigError, match="need a baseline"):
        CoxLoss().survival(INPUTS, TIME)
