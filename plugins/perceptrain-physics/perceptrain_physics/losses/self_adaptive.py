"""Self-adaptive point weights, trained by gradient ascent."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from perceptrain.errors import ConfigError, LossContractError
from perceptrain.types import Residuals
from perceptrain_physics.checks import check_numbers, is_number
from perceptrain_physics.losses.point_weighted import PointWeightedLoss, check_length


class SelfAdaptiveLoss(PointWeightedLoss):
    """Weight points by parameters that ascend the loss while the model descends it.

    McClenny, Braga-Neto, "Self-adaptive physics-informed neural networks using a soft attention
    mechanism", arXiv 2009.04544: the term of a condition is the mean of ``w^power r^2``, and the
    weights follow its gradient upwards. The trainer adds them to the optimizer as a parameter group
    of their own. One optimizer trains both, because the gradients of the weights are negated. To
    use another learning rate for the weights, create the optimizer with two parameter groups. Each
    weight belongs to one point, so use the same points in the same order at every step, all in one
    batch.

    Args:
        sizes: The number of points of each condition to weight.
        power: Exponent of the mask, at least 1.
        start: Initial value of the weights, above 0.

    Attributes:
        weights: The weights by condition, parameters of shape ``(N,)``.

    Raises:
        ConfigError: An option is out of range.
    """

    def __init__(self, sizes: Mapping[str, int], *, power: float = 2.0, start: float = 1.0) -> None:
        numbers = list(sizes.values()) if isinstance(sizes, Mapping) else []
        if not numbers or not all(is_number(size, whole=True) and size > 0 for size in numbers):
            raise ConfigError(
                f"sizes={sizes!r}: expected the number of points of each condition to weight, "
                'such as {"pde": 1000}.'
            )
        check_numbers("SelfAdaptiveLoss", power=power, at_least=1)
        check_numbers("SelfAdaptiveLoss", start=start, above=0)
        super().__init__(list(sizes))
        self.power = power
        # Not a ParameterDict: a condition name may contain a dot, but a parameter name may not.
        self._weights = nn.ParameterList(torch.full((size,), start) for size in sizes.values())

    @property
    def weights(self) -> dict[str, nn.Parameter]:
        """The weights by condition, parameters of shape ``(N,)``."""
        return dict(zip(self.names or (), self._weights, strict=True))

    def residuals(self, batch: Mapping[str, Tensor], model: nn.Module) -> Residuals:
        """Refuse a Gauss-Newton step, which cannot train weights upwards.

        Raises:
            LossContractError: Always.
        """
        raise LossContractError(
            "self_adaptive trains its weights upwards while the model descends, and a Gauss-Newton "
            "step only descends. Use residual_attention, whose weights follow the residuals "
            "without being trained, or another optimizer."
        )

    def weigh(self, name: str, points: Tensor, squares: Tensor, update: bool) -> Tensor:
        """Return the mean of mask times squared residual."""
        own: Tensor = self.weights[name]
        check_length(name, own, squares)
        # The value of the weights with a negated gradient, so that descent becomes ascent.
        # A gradient hook would be lost when the module is copied.
        weights = 2 * own.detach() - own
        return (weights.pow(self.power) * squares).mean()
