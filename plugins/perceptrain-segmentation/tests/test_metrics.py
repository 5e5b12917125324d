"""The metrics over a data set, against MONAI and scikit-learn, whatever the batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.metrics.meandice import compute_dice
from sklearn.metrics import jaccard_score
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, get_metric
from perceptrain.errors import DataError, ShapeError
from perceptrain.testing import check_metric
from perceptrain_segmentation import dice_score

N, K = 7, 4


def images() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(0, K - 1, (N, 6, 6), generator=random)  # the last class never occurs
    labels[0] = 0
    logits = torch.randn(N, K, 6, 6, generator=random)
    logits[:, : K - 1] += 2 * hot(labels)[:, : K - 1]
    return logits, labels


def hot(labels: Tensor) -> Tensor:
    return nn.functional.one_hot(labels, K).movedim(-1, 1).float()


def over(metric: Any, logits: Tensor, labels: Tensor, size: int) -> float:
    for batch in zip(logits.split(size), labels.split(size), strict=True):
        metric.update(*batch)
    return float(metric.compute())


@pytest.mark.parametrize("size", [1, 3, N])
@pytest.mark.parametrize("background", [False, True])
def test_dice_as_in_monai(size: int, background: bool) -> None:
    logits, labels = images()
    scores = compute_dice(hot(logits.argmax(1)), hot(labels), include_background=background)
    metric = get_metric("mean_dice", include_background=background)
    assert over(metric, logits, labels, size) == pytest.approx(scores.nanmean().item(), rel=1e-6)
    if not background:
        expected = dice_score(logits, labels).item()
        assert float(metric.compute()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("size", [1, 3, N])
@pytest.mark.parametrize("background", [False, True])
def test_iou_as_in_scikit_learn(size: int, background: bool) -> None:
    logits, labels = images()
    predicted = logits.argmax(1)
    assert (predicted == K - 1).any()
    classes = range(K) if background else range(1, K)
    truth = jaccard_score(
        labels.flatten(), predicted.flatten(), labels=list(classes), average="macro"
    )
    metric = get_metric("mean_iou", include_background=background)
    assert over(metric, logits, labels, size) == pytest.approx(truth, rel=1e-6)


def test_classes_that_occur_nowhere_are_left_out_of_the_iou() -> None:
    logits, labels = images()
    logits[:, K - 1] = -100
    truth = jaccard_score(labels.flatten(), logits.argmax(1).flatten(), average="macro")
    metric = get_metric("mean_iou")
    assert over(metric, logits, labels, 2) == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("name", ["dice", "iou"])
def test_options_and_other_shapes(name: str) -> None:
    logits, labels = images()
    qualified = f"mean_{name}"
    plain = over(get_metric(qualified), logits, labels, 3)
    assert over(get_metric(qualified), logits, labels[:, None], 3) == plain
    assert over(get_metric(qualified), logits, hot(labels), 3) == plain
    one, mask = logits[:, :1], labels == 1
    found = over(get_metric(qualified, threshold=0.3), one, mask, 3)
    assert found == over(get_metric(qualified), one - 0.3, mask, 3)
    both = over(get_metric(qualified, multilabel=True), logits, hot(labels), 3)
    assert both != plain
    marked = labels.clone()
    marked[:, 3:] = 255
    found = over(get_metric(qualified, ignore_index=255), logits, marked, 3)
    assert found == pytest.approx(
        over(get_metric(qualified), logits[:, :, :3], labels[:, :3], 3), rel=1e-9
    )


def test_images_without_any_class() -> None:
    logits, labels = torch.full((2, 1, 4, 4), -1.0), torch.zeros(2, 4, 4)
    assert over(get_metric("mean_dice"), logits, labels, 1) == 1
    logits[0, 0, 0, 0] = 1
    assert over(get_metric("mean_dice"), logits, labels, 1) == 0.5


@pytest.mark.parametrize("name", ["dice", "iou"])
def test_the_contract_and_errors(name: str) -> None:
    metric = get_metric(f"mean_{name}")
    check_metric(metric, *images())
    with pytest.raises(DataError, match="has seen no images"):
        metric.compute()
    with pytest.raises(ShapeError):
        metric.update(torch.randn(2, K, 6, 6), torch.zeros(2, 5, 6).long())


def test_in_a_validation() -> None:
    pictures, labels = torch.randn(N, 1, 6, 6), images()[1]
    config = TrainConfig(batch_size=3, verbose=False, tracking_tool="none")
    model = nn.Conv2d(1, K, 1)
    trainer = Trainer(
        model,
        None,
        config,
        "dice_ce",
        val_dataloader=(pictures, labels),
        metrics=["mean_dice", "mean_iou"],
    )
    with torch.no_grad():
        expected = dice_score(model(pictures), labels).item()
    assert trainer.validate()["val_mean_dice"] == pytest.approx(expected, rel=1e-6)
