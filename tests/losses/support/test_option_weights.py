"""Weights among the options of a loss are as many as the classes or the outputs."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from perceptrain.errors import ConfigError
from perceptrain_core.losses import (
    bce_with_logits_loss,
    cross_entropy_loss,
    multi_margin_loss,
    nll_loss,
)

IDENTITY = nn.Identity()
LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
CLASSES = torch.tensor([0, 1, 2, 0, 1, 2])


@pytest.mark.parametrize("loss_fn", [cross_entropy_loss, nll_loss, multi_margin_loss])
@pytest.mark.parametrize(
    ("weight", "said"),
    [
        ([1.0, 2.0], "weight has 2 numbers"),
        ([2.0], "weight has 1 number,"),
        (torch.ones(3, 1), r"weight has shape \(3, 1\)"),
    ],
)
def test_a_weight_for_each_class(loss_fn: Any, weight: Any, said: str) -> None:
    message = rf"{said}.* and the model's output has 3 classes: pass a weight for each class"
    with pytest.raises(ConfigError, match=message):
        loss_fn((LOGITS.log_softmax(1), CLASSES), IDENTITY, weight=weight)
    loss_fn((LOGITS.log_softmax(1), CLASSES), IDENTITY, weight=[1, 2, 3])


def test_classes_of_pixels_and_of_a_single_row() -> None:
    images, labels = torch.randn(2, 3, 4, 5), torch.randint(0, 3, (2, 4, 5))
    weight = torch.tensor([1.0, 2.0, 3.0])
    for outputs, targets in ((images, labels), (LOGITS[0], CLASSES[0])):
        loss, _ = cross_entropy_loss((outputs, targets), IDENTITY, weight=weight)
        torch.testing.assert_close(loss, F.cross_entropy(outputs, targets, weight))
        with pytest.raises(ConfigError, match="the model's output has 3 classes"):
            cross_entropy_loss((outputs, targets), IDENTITY, weight=[1, 2])


@pytest.mark.parametrize("name", ["weight", "pos_weight"])
@pytest.mark.parametrize("columns", [1, 3])
def test_weights_of_elements(name: str, columns: int) -> None:
    outputs, labels = LOGITS[:, :columns], torch.ones(6, columns)
    loss_fn = partial(bce_with_logits_loss, (outputs, labels), IDENTITY)
    message = rf"^{name} has 2 numbers, and the model's output has shape \(6, {columns}\): pass one"
    with pytest.raises(ConfigError, match=message):
        loss_fn(**{name: [1.0, 10.0]})
    with pytest.raises(ConfigError, match=rf"^{name} has shape \(1, 6, {columns}\)"):
        loss_fn(**{name: torch.ones(1, 6, columns)})
    for right in (torch.tensor(2.0), torch.full((1,), 2.0), torch.full((columns,), 2.0)):
        loss, _ = loss_fn(**{name: right})
        expected = F.binary_cross_entropy_with_logits(outputs, labels, **{name: right})
        torch.testing.assert_close(loss, expected)
