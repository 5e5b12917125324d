"""Train early times before later ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_physics.losses.point_weighted import PointWeightedLoss


class CausalLoss(PointWeightedLoss):
    """Weigh points by the residual at all earlier times, ``exp(-epsilon * sum of earlier losses)``.

    Wang, Sankaran, Perdikaris, "Respecting causality is all you need for training physics-informed
    neural networks", arXiv 2203.07404. Time is cut into slabs of one length; the loss is the mean
    over the slabs of each one's mean square times its weight. Where ``epsilon`` is a list, it goes
    on to the next one, which is stricter, when all weights are above ``delta``.

    Args:
        names: The conditions that are weighed; usually the equation alone.
        epsilon: The steepness, or a rising list of them, such as ``[0.01, 0.1, 1, 10, 100]``.
        slabs: The number of slabs.
        span: The first and the last time; points outside count to the nearest slab.
        time: The column of time in the points.
        delta: All weights above this end a stage of the list.

    Attributes:
        stage: Which epsilon is in use, counted from 0; kept in ``state_dict``.
        min_weight: The smallest weight of the latest step. The paper trains until it is near 1.

    Raises:
        ConfigError: A number cannot be.
    """

    stage: Tensor
    min_weight: Tensor

    def __init__(
        self,
        names: Sequence[str] = ("pde",),
        *,
        epsilon: float | Sequence[float] = 1.0,
        slabs: int = 16,
        span: Sequence[float] = (0.0, 1.0),
        time: int = 0,
        delta: float = 0.99,
    ) -> None:
        super().__init__(names)
        steps = [epsilon] if isinstance(epsilon, int | float) else list(epsilon)
        if not steps or sorted(steps) != steps or not steps[0] >= 0:
            raise ConfigError(
                f"epsilon={epsilon!r}: expected a number from 0 on, or a rising list."
            )
        if slabs < 1 or len(span) != 2 or not span[0] < span[1]:
            raise ConfigError(
                f"slabs={slabs!r}, span={span!r}: expected a whole number above 0, and the first "
                "and the last time."
            )
        self.epsilons = tuple(map(float, steps))
        self.slabs = slabs
        self.span = tuple(span)
        self.time = time
        self.delta = delta
        self._weights: dict[str, Tensor] = {}  # of the step, whose closure is called several times
        self.register_buffer("stage", torch.tensor(0))
        self.register_buffer("min_weight", torch.tensor(0.0))

    @property
    def epsilon(self) -> float:
        """The steepness in use."""
        return self.epsilons[int(self.stage)]

    def weigh(self, name: str, points: Tensor, squares: Tensor, update: bool) -> Tensor:
        """Give the mean over the slabs that have points."""
        start, end = self.span
        place = (points[:, self.time] - start) / (end - start) * self.slabs
        slab = place.long().clamp(0, self.slabs - 1)
        zeros = squares.new_zeros(self.slabs)
        number = zeros.index_add(0, slab, torch.ones_like(squares))
        losses = zeros.index_add(0, slab, squares) / number.clamp_min(1)
        earlier = losses.detach().cumsum(0) - losses.detach()
        if update or name not in self._weights:
            self._weights[name] = torch.exp(-self.epsilon * earlier)
        weights = self._weights[name]
        if update:
            self.min_weight.copy_(weights.min())
            if self.min_weight > self.delta and int(self.stage) < len(self.epsilons) - 1:
                self.stage += 1
        return (weights * losses).sum() / (number > 0).sum()
