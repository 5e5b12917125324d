"""Two weighted point clouds, and the checks of user input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from perceptrain import is_capturing
from perceptrain.errors import DataError, ShapeError
from perceptrain_distributions.batches import describe

_LOW_PRECISION = (torch.float16, torch.bfloat16)
_SHAPES = "(number, dimension) or (batch, number, dimension)"


@dataclass(frozen=True)
class Clouds:
    """The model's cloud and the target cloud, in one dtype, with their weights.

    Attributes:
        cloud: ``(N, d)`` or ``(B, N, d)``.
        points: ``(M, d)`` or ``(B, M, d)``.
        cloud_weights: ``(N,)`` or ``(B, N)``.
        weights: ``(M,)`` or ``(B, M)``.
    """

    cloud: Tensor
    points: Tensor
    cloud_weights: Tensor
    weights: Tensor


def make_clouds(
    cloud: Any, points: Any, weights: Any, cloud_weights: Any, *, balanced: bool
) -> Clouds:
    """Check two clouds and their weights, and convert them to one dtype.

    Half precision, as produced by automatic mixed precision, is converted to the dtype of the
    points, or to float32, because distances are differences of large numbers.

    Args:
        cloud: The model's output.
        points: The target.
        weights: The weights of the target; None for ``1 / M`` each.
        cloud_weights: The weights of the model's output; None for ``1 / N`` each.
        balanced: Whether both clouds must have the same total weight.

    Returns:
        The clouds, in the dtype of the points, float32 or float64.

    Raises:
        DataError: An argument is not a tensor of real numbers, the dtypes differ, or weights are
            invalid.
        ShapeError: The shapes do not match.
    """
    _check_kind("The model's output", cloud)
    _check_kind("The target", points)
    _check_shapes(cloud, points)
    cloud, points = _to_one_dtype(cloud, points)
    pair = Clouds(
        cloud,
        points,
        _weights("input_weights", cloud_weights, cloud, "output"),
        _weights("weights", weights, points, "target"),
    )
    if not is_capturing() and (weights is not None or cloud_weights is not None):
        _check_weights(pair, balanced)
    return pair


def _check_kind(what: str, value: Any) -> None:
    if not isinstance(value, Tensor):
        raise DataError(f"{what} is {describe(value)}; expected a tensor of shape {_SHAPES}.")
    if not value.is_floating_point():
        raise DataError(
            f"{what} is {describe(value)}; expected real coordinates, such as float32. Convert it "
            "with .float(), or split complex numbers with torch.view_as_real."
        )


def _check_shapes(cloud: Tensor, points: Tensor) -> None:
    got = f"The model's output has shape {tuple(cloud.shape)}, the target {tuple(points.shape)}; "
    if cloud.ndim not in (2, 3) or points.ndim != cloud.ndim:
        raise ShapeError(
            f"{got}expected {_SHAPES} of both. For points on a line use points.unsqueeze(-1)."
        )
    if cloud.shape[-1] != points.shape[-1]:
        raise ShapeError(
            f"{got}expected the same size of the last dimension. Change the width of the model's "
            "last layer."
        )
    if cloud.ndim == 3 and len(cloud) != len(points):
        raise ShapeError(f"{got}expected the same number of clouds, in the first dimension.")
    if not cloud.numel() or not points.numel():
        raise ShapeError(f"{got}expected at least one point in each. Leave out empty clouds.")


def _to_one_dtype(cloud: Tensor, points: Tensor) -> tuple[Tensor, Tensor]:
    if points.dtype in _LOW_PRECISION:
        points = points.float()
    if cloud.dtype in _LOW_PRECISION:
        cloud = cloud.to(points.dtype)
    if cloud.dtype != points.dtype:
        raise DataError(
            f"The model's output is {cloud.dtype} and the target {points.dtype}; expected one "
            f"dtype. Convert the target with points.to({cloud.dtype}), or the model with .to(...)."
        )
    return cloud, points


def _weights(name: str, weights: Any, cloud: Tensor, what: str) -> Tensor:
    shape = cloud.shape[:-1]
    if weights is None:
        return cloud.new_full(shape, 1 / shape[-1])
    if not isinstance(weights, Tensor) or weights.is_complex():
        raise DataError(f"{name!r} is {describe(weights)}; expected a tensor of real numbers.")
    if weights.shape not in (shape, (*shape, 1)):
        raise ShapeError(
            f"{name!r} has shape {tuple(weights.shape)}; expected one weight per point of the "
            f"{what}, {tuple(shape)}."
        )
    return weights.reshape(shape).to(cloud)


def _check_weights(pair: Clouds, balanced: bool) -> None:
    """Check the values, which geomloss would clamp silently, or compute wrong distances from."""
    first, second = pair.cloud_weights.sum(-1), pair.weights.sum(-1)
    lowest = torch.minimum(pair.cloud_weights.min(), pair.weights.min())
    sums = torch.cat([first.reshape(-1), second.reshape(-1)])
    if not (lowest >= 0 and sums.min() > 0 and sums.max() < torch.inf):
        raise DataError(
            "Weights must not be negative, infinite or NaN, or all 0 in a cloud; the lowest is "
            f"{lowest.item():.3g}, and the sums are between {sums.min().item():.3g} and "
            f"{sums.max().item():.3g}."
        )
    if balanced and not torch.allclose(first, second, rtol=1e-3, atol=0):
        worst = (first - second).abs().argmax()
        raise DataError(
            f"The model's cloud has total weight {first.flatten()[worst].item():.4g}, the target "
            f"{second.flatten()[worst].item():.4g}; this distance requires equal totals. Divide "
            "the weights by their sum (default weights sum to 1), or use sinkhorn with a reach for "
            "unbalanced transport."
        )
