"""Every name trains a network, by its name, on images of squares and strips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, WeightedLoss, get_loss, registry

NAMES = [
    entry.name
    for plugin in registry().plugins
    if plugin.distribution == "perceptrain-segmentation"
    for entry in plugin.provides["losses"]
]
# They are meant to be added to a loss of regions; alone they may lose a class.
COMPANIONS = {"boundary", "hausdorff_dt", "log_hausdorff_dt", "soft_cldice"}
# Its added constants are large beside small shapes, so that it begins slowly.
EPOCHS = {"soft_dice_cldice": 30}


def images(count: int = 16) -> tuple[Tensor, Tensor]:
    """Noisy images of a square (1) and a strip (2) on a background (0)."""
    labels = torch.zeros(count, 1, 16, 16, dtype=torch.long)
    for label in labels[:, 0]:
        x, y = torch.randint(0, 11, (2,)).tolist()
        label[:, y : y + 3] = 2
        label[x : x + 6, y : y + 6] = 1
    return labels.float() + 0.3 * torch.randn(count, 1, 16, 16), labels


def network(channels: int) -> nn.Sequential:
    hidden = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Conv2d(8, channels, 1))


def fit(
    loss_fn: Any, batch: tuple[Tensor, Tensor], model: nn.Module, epochs: int = 10
) -> list[dict[str, float]]:
    config = TrainConfig(max_iter=epochs, batch_size=8, val_every=1, verbose=False)
    trainer = Trainer(model, {"name": "adam", "lr": 1e-2}, config, loss_fn=loss_fn)
    trainer.fit(batch, batch)
    return trainer.history


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_name_trains(name: str) -> None:
    history = fit(name, images(), network(3), EPOCHS.get(name, 14))
    first, last = history[0], history[-1]
    assert last["val_loss"] < first["train_loss"] - 0.2 * abs(first["train_loss"])
    if name not in COMPANIONS:
        assert last["val_dice_score"] > first["train_dice_score"] + 0.1


@pytest.mark.parametrize("name", ["dice_ce", "focal", "tversky"])
def test_one_class(name: str) -> None:
    inputs, labels = images()
    history = fit(name, (inputs, (labels > 0)[:, 0]), network(1))
    assert history[-1]["val_loss"] < 0.8 * history[0]["train_loss"]
    assert history[-1]["val_dice_score"] > 0.7


def test_options_by_name() -> None:
    loss_fn = {"name": "tversky", "alpha": 0.3, "beta": 0.7, "dice_score": False}
    (row, *_) = fit(loss_fn, images(8), network(3), epochs=1)
    assert "train_dice_score" not in row


@pytest.mark.parametrize("name", ["dice_ce", "soft_dice_cldice"])
def test_a_weighting_of_the_terms(name: str) -> None:
    weighting = {"name": "grad_weighted", "fixed_metric": "dice", "every": 10}
    weighted = WeightedLoss(get_loss(name, dice_score=False), weighting)
    history = fit(weighted, images(), network(3), epochs=5)
    assert history[-1]["val_loss"] < history[0]["train_loss"]
    assert len([key for key in history[0] if key.startswith("train_weight_")]) >= 1


def test_a_resumed_run_ends_as_one_that_was_not_stopped(tmp_path: Path) -> None:
    def run(folder: str, epochs: int, resume: bool = False) -> nn.Module:
        torch.manual_seed(2)
        config = TrainConfig(
            max_iter=epochs,
            seed=3,
            verbose=False,
            batch_size=8,
            root_folder=tmp_path / folder,
            checkpoint_every=1,
        )
        model = network(3)
        trainer = Trainer(model, "adam", config, loss_fn="dice_ce")
        trainer.fit(images(16), resume=resume)
        return model

    whole = run("whole", 4)
    run("parts", 2)
    parts = run("parts", 4, resume=True)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(one, other)
