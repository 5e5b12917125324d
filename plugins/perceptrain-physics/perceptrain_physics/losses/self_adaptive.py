"""Weights of points that are trained to make the loss larger."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from perceptrain.errors import ConfigError
from perceptrain_physics.losses.point_weighted import PointWeightedLoss, check_length


class SelfAdaptiveLoss(PointWeightedLoss):
    """Weigh points by parameters that climb the loss while the model descends it.

    McClenny, Braga-Neto, "Self-adaptive physics-informed neural networks using a soft attention
    mechanism", arXiv 2009.04544: the term of a condition is the mean of ``w^power r^2``, and the
    weights follow its gradient upwards. A trainer adds them to the optimizer, as a group of their
    own; one optimizer does both, for the gradient of a weight comes out negated. Give it
    parameters in two groups to train them at another rate. Each weight belongs to one point: give
    the same points at each step, in one batch and one order.

    Args:
        sizes: The number of points of each condition that is weighed.
        power: Of the mask; 1 or more.
        start: The weights at the start, above 0.

    Attributes:
        weights: The weights by name, parameters of shape ``(N,)``.

    Raises:
        ConfigError: A number cannot be.
    """

    def __init__(self, sizes: Mapping[str, int], *, power: float = 2.0, start: float = 1.0) -> None:
        super().__init__(list(sizes))
        if not sizes or any(size < 1 for size in sizes.values()):
            raise ConfigError(
                f"sizes={sizes!r}: expected the number of points of each condition that is "
                'weighed, such as {"pde": 1000}.'
            )
        if not power >= 1 or not start > 0:
            raise ConfigError(
                f"power={power!r}, start={start!r}: expected a power of 1 or more, and a start "
                "above 0."
            )
        self.power = power
        # A list, not a ParameterDict: the name of a condition may have a dot, a parameter's not.
        self._weights = nn.ParameterList(torch.full((size,), start) for size in sizes.values())

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """The weights by name, parameters of shape ``(N,)``."""
        return dict(zip(self.names or (), self._weights, strict=True))

    def weigh(self, name: str, points: Tensor, squares: Tensor, update: bool) -> Tensor:
        """Give the mean of the squares, each times its mask."""
        own: Tensor = self.weights[name]
        check_length(name, own, squares)
        # The value of the weight, and minus its gradient: what descends the loss, climbs in it.
        # A hook that negates would be lost in a copy.
        weights = 2 * own.detach() - own
        return (weights.pow(self.power) * squares).mean()
