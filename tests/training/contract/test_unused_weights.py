"""Batches with sample weights are refused with advice, where the loss takes none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perceptrain import PerceptrainRegressor, TrainConfig, Trainer, get_loss
from perceptrain.errors import DataError

INPUTS, LABELS = torch.randn(6, 2), torch.randn(6, 1)
CLASSES, WEIGHTS = torch.tensor([0, 1, 2, 0, 1, 2]), torch.ones(6)
ADVICE = r"takes no sample weights, and .*\(weights in \[data\], sample_weight in scikit-learn\)"


def of_pairs(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    inputs, labels = batch
    return (model(inputs) - labels).square().mean(), {}


def picky(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    raise ValueError(f"{len(batch)} parts are never right")


def fit(loss_fn: Any, batch: Any, outputs: int = 1) -> None:
    config = TrainConfig(max_iter=1, verbose=False, progress=False)
    Trainer(nn.Linear(2, outputs), "sgd", config, loss_fn).fit([batch])


@pytest.mark.parametrize("weights", [WEIGHTS, WEIGHTS.unsqueeze(1), WEIGHTS.bool()])
def test_a_loss_of_your_own(weights: Tensor) -> None:
    with pytest.raises(DataError, match=f"The loss of_pairs {ADVICE}"):
        fit(of_pairs, (INPUTS, LABELS, weights))


def test_losses_of_plugins() -> None:
    with pytest.raises(DataError, match=f"The loss class_focal_loss {ADVICE}"):
        fit(get_loss("class_focal", gamma=1.0), (INPUTS, CLASSES, WEIGHTS), 3)
    with pytest.raises(DataError, match=f"The loss CRPSLoss {ADVICE}"):
        fit("crps", (INPUTS, LABELS, WEIGHTS), 2)
    rows, numbers = INPUTS.numpy(), LABELS[:, 0].numpy()
    with pytest.raises(DataError, match=ADVICE):
        PerceptrainRegressor(loss="crps", max_iter=1).fit(rows, numbers, np.ones(6))


def test_other_faults_keep_their_messages() -> None:
    with pytest.raises(ValueError, match="3 parts are never right"):
        fit(picky, (INPUTS, LABELS, WEIGHTS))
    with pytest.raises(ValueError, match="too many values to unpack"):  # no weights of rows
        fit(of_pairs, (INPUTS, LABELS, INPUTS))
    with pytest.raises(DataError, match="one ratio for the whole batch"):
        fit("relative_l2", (INPUTS, LABELS, WEIGHTS))
    with pytest.raises(DataError, match="expected numbers of at least 0"):
        fit("mse", (INPUTS, LABELS, -WEIGHTS))
    fit("mse", (INPUTS, LABELS, WEIGHTS))
