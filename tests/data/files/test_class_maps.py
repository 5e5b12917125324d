"""Labels that are a class for each pixel."""

from __future__ import annotations

import pytest
import torch

from perceptrain_core.data.files.folds import are_class_maps

IMAGES = torch.rand(2, 3, 8, 6)


@pytest.mark.parametrize(
    ("inputs", "labels", "expected"),
    [
        (IMAGES, torch.zeros(2, 8, 6).long(), True),
        (IMAGES, torch.zeros(2, 8, 6, dtype=torch.uint8), True),
        (IMAGES, torch.zeros(2, 1, 8, 6).long(), True),
        (torch.rand(2, 1, 4, 8, 6), torch.zeros(2, 4, 8, 6).long(), True),
        (IMAGES, torch.zeros(2, 3, 8, 6).long(), False),  # one-hot
        (IMAGES, torch.zeros(2, 8, 6), False),
        (IMAGES, torch.zeros(2, 4, 3).long(), False),
        (IMAGES, torch.zeros(2).long(), False),
        (torch.rand(2, 5), torch.zeros(2, 5).long(), False),
    ],
)
def test_integers_in_the_size_of_the_images(inputs, labels, expected):
    assert are_class_maps(inputs, labels) is expected
