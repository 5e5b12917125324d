"""A small U-Net, for images of any size."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from monai.networks.nets.unet import UNet as MonaiUNet
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain.errors import ConfigError, ShapeError


class UNet(nn.Module):
    """The residual U-Net of MONAI for images in two dimensions (arXiv 1505.04597).

    Images whose height or width the strides do not divide are padded with their border, and the
    output is cropped.

    Args:
        in_channels: The channels of the images; in a run file, those of the data.
        out_channels: The classes; in a run file, those of the data. 1 for one class and background.
        features: The channels at each depth, at least two.
        strides: The factor of each downsampling, one fewer than ``features``; 2 by default.
        residual_units: The convolutions of each block, which a shortcut skips; 0 for plain blocks.
        norm: ``"instance"``, ``"batch"`` or another normalization of MONAI.
        dropout: The share of channels that dropout sets to zero.

    Raises:
        ConfigError: An option has a wrong value.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        features: Sequence[int] = (16, 32, 64),
        strides: Sequence[int] | None = None,
        residual_units: int = 2,
        norm: str = "instance",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check_counts("in_channels", [in_channels])
        _check_counts("out_channels", [out_channels])
        _check_counts("features", features, 2)
        steps = [2] * (len(features) - 1) if strides is None else strides
        _check_counts("strides", steps)
        if len(steps) != len(features) - 1:
            raise ConfigError(
                f"strides={list(steps)} and features={list(features)}: expected one stride fewer "
                f"than features, {len(features) - 1}, not {len(steps)}."
            )
        self.in_channels = in_channels
        self._factor = prod(steps)
        try:
            self.net = MonaiUNet(
                spatial_dims=2,
                in_channels=in_channels,
                out_channels=out_channels,
                channels=features,
                strides=steps,
                num_res_units=residual_units,
                norm=norm,
                dropout=dropout,
            )
        except (ValueError, TypeError, KeyError) as error:
            raise ConfigError(f"The U-Net cannot be built: {error}") from error

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of shape ``(N, out_channels, H, W)`` for images ``(N, in_channels, H, W)``.

        Raises:
            ShapeError: The images have another shape.
        """
        if images.ndim != 4 or images.shape[1] != self.in_channels:
            raise ShapeError(
                f"The images have shape {tuple(images.shape)}; expected (N, {self.in_channels}, H, "
                "W). For grey or colour images set channels of image_folder to 1 or 3."
            )
        height, width = images.shape[2:]
        down, right = (self._missing(length) for length in (height, width))
        if down or right:
            images = F.pad(images, (0, right, 0, down), mode="replicate")
        outputs: Tensor = self.net(images)
        return outputs[:, :, :height, :width]

    def _missing(self, length: int) -> int:
        # Instance normalization needs more than one pixel at the lowest resolution.
        return max(-length % self._factor, 2 * self._factor - length)


def _check_counts(name: str, numbers: Sequence[int], least: int = 1) -> None:
    valid = isinstance(numbers, list | tuple) and len(numbers) >= least
    if not valid or any(type(number) is not int or number < 1 for number in numbers):
        raise ConfigError(f"{name}={numbers!r}: expected whole numbers of at least 1.")
