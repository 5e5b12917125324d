"""Predictions of images: a class for each pixel."""

from __future__ import annotations

import pytest
import torch

from perceptrain_core.errors import ShapeError
from perceptrain_core.inference.predictions import Predictions, Target

TWO = Target(classes=("ground", "cell"), activation="softmax")


def test_maps_of_classes():
    scores = torch.rand(2, 3, 4, 5).softmax(1)
    found = Predictions.of(scores, Target(classes=("0", "1", "2"), activation="softmax"))
    assert torch.equal(found.values, scores.argmax(1))
    assert torch.equal(found.probabilities, scores)


def test_one_channel_for_two_classes():
    scores = torch.rand(2, 1, 4, 5)
    found = Predictions.of(scores, TWO)
    assert torch.equal(found.values, (scores > 0.5).long()[:, 0])
    assert torch.equal(found.probabilities, torch.cat([1 - scores, scores], 1))
    assert found.labels.shape == (2, 4, 5)
    assert set(found.labels.flatten()) == {"ground", "cell"}


def test_images_of_several_sizes_are_not_joined():
    parts = [Predictions.of(torch.rand(1, 1, size, 5), TWO) for size in (4, 6)]
    assert len(Predictions.joined(parts[:1] * 2)) == 2
    with pytest.raises(ShapeError, match=r"\(4, 5\), \(6, 5\) and cannot be one tensor"):
        Predictions.joined(parts)
