"""Figures and steps do not depend on how the images are split into batches.

The truth is all images in one batch.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, WeightedLoss, get_loss

IMAGES, SIZE = 7, 8
RANDOM = torch.Generator().manual_seed(4)
X = torch.randn(IMAGES, 1, SIZE, SIZE, dtype=torch.float64, generator=RANDOM)
LABELS = torch.randint(0, 3, (IMAGES, SIZE, SIZE), generator=RANDOM)
LABELS[1] = 0  # an image without classes
LABELS[4][LABELS[4] == 2] = 1
IGNORED = LABELS.clone()
for number in range(IMAGES):
    IGNORED[number, : number + 1] = 9
BINARY = (LABELS > 0).long()
ONEHOT = nn.functional.one_hot(LABELS, 3).movedim(-1, 1).double()

WEIGHTS = [0.2, 1.0, 3.0]
DEEP: dict[str, Any] = {"name": "deep_supervision"}

#: Losses, labels and channels of the model.
CASES: dict[str, tuple[Any, Tensor, int]] = {
    "boundary": ("boundary", LABELS, 3),
    "boundary_sum": ({"name": "boundary", "reduction": "sum"}, LABELS, 3),
    "boundary_classes": ({"name": "boundary", "reduction": "sum", "batch": True}, LABELS, 3),
    "dice": ({"name": "dice", "include_background": False}, LABELS, 3),
    "dice_sum": ({"name": "dice", "reduction": "sum"}, LABELS, 3),
    "dice_ignored": ({"name": "dice", "ignore_index": 9}, IGNORED, 3),
    "dice_binary": ("dice", BINARY, 1),
    "dice_ce": ("dice_ce", LABELS, 3),
    "dice_ce_sum": ({"name": "dice_ce", "reduction": "sum", "weight": WEIGHTS}, LABELS, 3),
    "dice_ce_weights": (
        {"name": "dice_ce", "weight": WEIGHTS, "lambda_ce": 0.5, "label_smoothing": 0.1},
        LABELS,
        3,
    ),
    "dice_ce_onehot": ({"name": "dice_ce", "weight": WEIGHTS}, ONEHOT, 3),
    "dice_ce_binary": ({"name": "dice_ce", "weight": [3.0]}, BINARY, 1),
    "dice_focal": ({"name": "dice_focal", "weight": WEIGHTS, "lambda_focal": 2.0}, LABELS, 3),
    "focal": ("focal", LABELS, 3),
    "focal_ignored": ({"name": "focal", "ignore_index": 9, "weight": WEIGHTS}, IGNORED, 3),
    "focal_background": ({"name": "focal", "ignore_index": 0}, ONEHOT, 3),
    "focal_sum": ({"name": "focal", "ignore_index": 9, "reduction": "sum"}, IGNORED, 3),
    "generalized_dice": ("generalized_dice", LABELS, 3),
    "generalized_dice_focal": ("generalized_dice_focal", LABELS, 3),
    "wasserstein": ("generalized_wasserstein_dice", LABELS, 3),
    "hausdorff": ("hausdorff_dt", LABELS, 3),
    "hausdorff_batch": ({"name": "hausdorff_dt", "batch": True, "reduction": "sum"}, LABELS, 3),
    "mcc": ("mcc", LABELS, 3),
    "cldice": ("soft_cldice", LABELS, 3),
    "dice_cldice": ("soft_dice_cldice", LABELS, 3),
    "tversky": ({"name": "tversky", "ignore_index": 9}, IGNORED, 3),
    "deep": (DEEP, LABELS, 3),
    "deep_sum": ({**DEEP, "loss": {"name": "dice", "reduction": "sum"}}, LABELS, 3),
    "deep_weights": ({**DEEP, "loss": {"name": "dice_ce", "weight": WEIGHTS}}, LABELS, 3),
    "deep_ignored": ({**DEEP, "loss": {"name": "focal", "ignore_index": 9}}, IGNORED, 3),
}


class Net(nn.Module):
    """Logits at one or two sizes, in evaluation too."""

    def __init__(self, channels: int, deep: bool) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(5)
            self.conv = nn.Conv2d(1, channels, 3, padding=1)
        self.deep = deep

    def forward(self, x: Tensor) -> Tensor | list[Tensor]:
        logits: Tensor = self.conv(x)
        return [logits, nn.functional.avg_pool2d(logits, 2)] if self.deep else logits


def trainer_for(case: str, batch_size: int, **settings: Any) -> Trainer:
    loss, labels, channels = CASES[case]
    quiet = {"max_iter": 1, "shuffle": False, "verbose": False, "tracking_tool": "none"}
    config = TrainConfig(batch_size=batch_size, **{**quiet, **settings})
    data = X, labels
    model = Net(channels, case.startswith("deep")).double()
    return Trainer(model, {"name": "sgd", "lr": 0.01}, config, loss, data, data)


@pytest.mark.parametrize("case", CASES)
def test_figures_are_those_of_one_batch(case: str) -> None:
    truth = trainer_for(case, IMAGES).validate()
    for batch_size in (1, 2, 3, 6):
        assert trainer_for(case, batch_size).validate() == pytest.approx(truth, rel=1e-6)
        trainer = trainer_for(case, batch_size)
        trainer.optimizer.param_groups[0]["lr"] = 0.0
        trainer.fit()
        for name, value in truth.items():
            assert trainer.history[0][f"train_{name[4:]}"] == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("batch_size", "accumulate"), [(2, 4), (3, 9)])
def test_accumulated_batches_are_one_large_batch(
    case: str, batch_size: int, accumulate: int
) -> None:
    large = trainer_for(case, IMAGES, max_iter=2)
    small = trainer_for(case, batch_size, max_iter=2, accumulate=accumulate)
    for trainer in (large, small):
        trainer.fit()
    assert small.global_step == 2
    for a, b in zip(large.model.parameters(), small.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-8)


def test_the_score_of_images_without_classes_is_a_mean_too() -> None:
    empty = torch.zeros_like(LABELS)
    model = Net(3, False).double()
    scores = []
    for batch_size in (2, IMAGES):
        config = TrainConfig(batch_size=batch_size, verbose=False, tracking_tool="none")
        row = Trainer(model, None, config, "dice").validate((X, empty))
        scores.append(row["val_dice_score"])
    assert scores[0] == pytest.approx(scores[1])
    hits = model(X).argmax(1).flatten(1)
    expected = torch.stack([(hits != kind).all(1).double().mean() for kind in (1, 2)]).mean()
    assert scores[1] == pytest.approx(expected.item())


def test_weighted_terms_have_means_of_their_own() -> None:
    loss = {"name": "dice_ce", "weight": WEIGHTS, "dice_score": False}

    def row(batch_size: int) -> dict[str, float]:
        weighted = WeightedLoss(loss, {"name": "fixed", "weights": {"ce": 3.0}})
        config = TrainConfig(batch_size=batch_size, verbose=False, tracking_tool="none")
        return Trainer(Net(3, False).double(), None, config, weighted).validate((X, LABELS))

    assert row(3) == pytest.approx(row(IMAGES), rel=1e-9)


@pytest.mark.parametrize(
    ("loss", "whole"),
    [
        ("dice", False),
        ({"name": "dice", "batch": True}, True),
        ({"name": "tversky", "batch": True}, True),
        ({"name": "dice_ce", "batch": True}, True),
        ({"name": "boundary", "batch": True}, False),
        ("log_hausdorff_dt", True),
        ("hausdorff_dt", False),
        ({**DEEP, "loss": {"name": "mcc", "batch": True}}, True),
        (DEEP, False),
    ],
)
def test_losses_of_whole_batches_say_so(loss: Any, whole: bool) -> None:
    assert get_loss(loss).whole_batch is whole


def test_a_batch_that_is_split_is_warned_of() -> None:
    CASES["whole"] = {"name": "dice", "batch": True}, LABELS, 3
    try:
        trainer = trainer_for("whole", 3, accumulate=2)
    finally:
        del CASES["whole"]
    with pytest.warns(UserWarning, match=r"DiceLoss depends on all rows of a batch.*accumulate=2"):
        trainer.fit()
