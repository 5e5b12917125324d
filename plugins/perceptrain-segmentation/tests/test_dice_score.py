"""The Dice score, compared with that of MONAI."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import pytest
import torch
from monai.metrics import compute_dice
from monai.networks.utils import one_hot
from torch import Tensor, nn

from perceptrain import get_loss
from perceptrain_segmentation import dice_score

LABELS = torch.randint(0, 4, (5, 1, 9, 7), generator=torch.Generator().manual_seed(3))


def logits(channels: int = 4) -> Tensor:
    return torch.randn(5, channels, 9, 7, requires_grad=True)


@pytest.mark.parametrize("top", [4, 3, 2])
def test_classes_are_scored_as_by_monai(top: int) -> None:
    """Also where some images, or all, lack a class."""
    labels = LABELS.clone()
    labels[labels >= top] = 0
    labels[0] = 0
    outputs = logits()
    hard = one_hot(outputs.argmax(1, keepdim=True), 4)
    expected = compute_dice(hard, one_hot(labels, 4), include_background=False).nanmean()
    for given in (labels, labels[:, 0], labels.float(), one_hot(labels, 4)):
        score = dice_score(outputs, given)
        torch.testing.assert_close(score, expected)
        assert not score.requires_grad


def test_one_channel_is_scored_as_by_monai() -> None:
    outputs, labels = logits(1), LABELS > 1
    expected = compute_dice((outputs > 0).float(), labels.float()).mean()
    torch.testing.assert_close(dice_score(outputs, labels), expected)
    torch.testing.assert_close(dice_score(outputs.sigmoid(), labels, threshold=0.5), expected)


def test_classes_that_overlap_are_scored_as_by_monai() -> None:
    outputs, labels = logits(), torch.randint(0, 2, (5, 4, 9, 7))
    expected = compute_dice((outputs > 0).float(), labels.float()).mean()
    torch.testing.assert_close(dice_score(outputs, labels, multilabel=True), expected)


@pytest.mark.parametrize("ignored", [255, -1, 1])
def test_ignored_pixels_do_not_count(ignored: int) -> None:
    labels = LABELS.clone()
    labels[:, :, :4] = ignored
    labels[:, :, 4:][labels[:, :, 4:] == ignored] = 0
    outputs = logits()
    expected = dice_score(outputs[:, :, 4:], labels[:, :, 4:])
    torch.testing.assert_close(dice_score(outputs, labels, ignore_index=ignored), expected)
    known = one_hot(labels.clamp(0, 3), 4) * (labels < 4) * (labels >= 0)
    torch.testing.assert_close(dice_score(outputs, known, ignore_index=ignored), expected)


def test_where_there_is_nothing_to_find() -> None:
    nothing = torch.zeros(2, 4, 4, dtype=torch.long)
    outputs = torch.zeros(2, 3, 4, 4)
    assert dice_score(outputs, nothing) == 1
    outputs[0, 1, 0, 0] = 1
    assert dice_score(outputs, nothing) == 0.75


def test_extremes() -> None:
    assert dice_score(one_hot(LABELS, 4), LABELS) == 1
    assert dice_score(one_hot((LABELS + 1) % 4, 4), LABELS) == 0


def test_it_takes_no_longer_than_the_loss() -> None:
    """It is computed at every step; a plain argmax takes six times as long as the Dice loss."""
    outputs = torch.randn(8, 3, 256, 256, requires_grad=True)
    labels = torch.randint(0, 3, (8, 1, 256, 256))
    loss_fn = get_loss("dice", dice_score=False)

    def least(call: Callable[[], object]) -> float:
        times = []
        for _ in range(5):
            start = process_time()
            call()
            times.append(process_time() - start)
        return min(times)

    loss = least(lambda: loss_fn((outputs, labels), nn.Identity())[0].backward())
    assert least(lambda: dice_score(outputs, labels)) < 2.5 * loss
