"""The U-Net by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from perceptrain import get_model
from perceptrain.errors import ConfigError, ShapeError


@pytest.mark.parametrize("size", [(16, 16), (17, 30), (1, 1), (5, 3)])
def test_the_output_has_the_size_of_the_image(size: tuple[int, int]) -> None:
    model = get_model("unet", in_channels=3, out_channels=2, features=[4, 8, 8])
    outputs = model(torch.rand(2, 3, *size))
    assert outputs.shape == (2, 2, *size)
    outputs.sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_images_that_the_strides_divide_are_not_padded() -> None:
    model = get_model("unet", in_channels=1, out_channels=2, features=[4, 8, 8], strides=[2, 3])
    images = torch.rand(1, 1, 12, 18)
    torch.testing.assert_close(model(images), model.net(images))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": [8]}, r"features=\[8\]: expected"),
        ({"features": 8}, "features=8: expected"),
        ({"strides": [2]}, r"one stride fewer than features, 2, not 1"),
        ({"strides": [2, 0]}, r"strides=\[2, 0\]: expected whole numbers"),
        ({"out_channels": 0}, r"out_channels=\[0\]: expected"),
        ({"norm": "none such"}, "cannot be built"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        get_model("unet", **{"in_channels": 1, "out_channels": 2, **options})


def test_other_channels_are_refused() -> None:
    model = get_model("unet", in_channels=3, out_channels=2)
    with pytest.raises(ShapeError, match=r"\(1, 1, 8, 8\); expected \(N, 3, H, W\)"):
        model(torch.rand(1, 1, 8, 8))
