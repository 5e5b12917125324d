"""What the losses say about the logits of a model."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from perceptrain import WeightedLoss, get_loss, output_activation, registry

PLUGIN = "perceptrain-segmentation"


def test_every_loss_expects_logits() -> None:
    names = [name for name, e in registry().losses.items() if e.distribution == PLUGIN]
    assert len(names) > 10
    assert {output_activation(get_loss(name)) for name in names} == {"softmax"}


@pytest.mark.parametrize(
    ("loss", "activation"),
    [
        ({"name": "dice", "softmax": True}, "softmax"),
        ({"name": "dice", "sigmoid": True}, "sigmoid"),
        ({"name": "focal", "use_softmax": False}, "sigmoid"),
        ({"name": "dice", "softmax": False, "sigmoid": False}, None),
        ({"name": "dice", "other_act": torch.tanh}, None),
        ({"name": "deep_supervision", "loss": {"name": "dice", "sigmoid": True}}, "sigmoid"),
    ],
)
def test_options_decide(loss: Any, activation: str | None) -> None:
    assert output_activation(get_loss(loss)) == activation
    assert output_activation(WeightedLoss(get_loss(loss), "relobralo")) == activation
