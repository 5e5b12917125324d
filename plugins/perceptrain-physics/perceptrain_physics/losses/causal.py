"""Causal training: early times before later ones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_physics.checks import check_numbers, is_list, is_number
from perceptrain_physics.losses.point_weighted import PointWeightedLoss


class CausalLoss(PointWeightedLoss):
    """Weight points by the residual at earlier times, ``exp(-epsilon * sum of earlier losses)``.

    Wang, Sankaran, Perdikaris, "Respecting causality is all you need for training physics-informed
    neural networks", arXiv 2203.07404. Time is divided into slabs of equal length. The loss is the
    mean over the slabs of the weight of a slab times its mean squared residual. If ``epsilon`` is
    a list, training moves on to the next, stricter value once all weights exceed ``delta``.

    Args:
        names: The conditions to weight; usually only the equation.
        epsilon: The causality parameter, or an increasing list such as ``[0.01, 0.1, 1, 10, 100]``.
        slabs: The number of time slabs.
        span: Start and end time. Points outside count towards the nearest slab.
        time: The column of the points that holds the time.
        delta: Move on to the next epsilon once all weights exceed this.

    Attributes:
        stage: Index of the epsilon in use; saved in ``state_dict``.
        min_weight: The smallest weight in the latest step. The paper trains until it is close to 1.

    Raises:
        ConfigError: An option is out of range.
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
        steps = list(epsilon) if isinstance(epsilon, Sequence) else [epsilon]
        if not steps or not all(map(is_number, steps)) or sorted(steps) != steps or steps[0] < 0:
            raise ConfigError(
                f"epsilon={epsilon!r}: expected a number of at least 0, or an increasing list."
            )
        check_numbers("CausalLoss", slabs=slabs, whole=True, at_least=1)
        check_numbers("CausalLoss", time=time, whole=True)
        check_numbers("CausalLoss", delta=delta)
        ends = list(span) if is_list(span) else []
        if len(ends) != 2 or not all(map(is_number, ends)) or not ends[0] < ends[1]:
            raise ConfigError(
                f"span={span!r}: expected two times (start, end), with start below end."
            )
        self.epsilons = tuple(map(float, steps))
        self.slabs = slabs
        self.span = tuple(span)
        self.time = time
        self.delta = delta
        self._weights: dict[str, Tensor] = {}  # constant within one optimizer step
        self.register_buffer("stage", torch.tensor(0))
        self.register_buffer("min_weight", torch.tensor(0.0))

    @property
    def epsilon(self) -> float:
        """The causality parameter in use."""
        return self.epsilons[int(self.stage)]

    def weigh(self, name: str, points: Tensor, squares: Tensor, update: bool) -> Tensor:
        """Return the weighted mean over the slabs that contain points."""
        start, end = self.span
        position = (points[:, self.time] - start) / (end - start) * self.slabs
        slab = position.long().clamp(0, self.slabs - 1)
        zeros = squares.new_zeros(self.slabs)
        counts = zeros.index_add(0, slab, torch.ones_like(squares))
        losses = zeros.index_add(0, slab, squares) / counts.clamp_min(1)
        earlier = losses.detach().cumsum(0) - losses.detach()
        if update or name not in self._weights:
            epsilon = squares.new_tensor(self.epsilons).gather(0, self.stage.reshape(1))
            self._weights[name] = torch.exp(-epsilon * earlier)
        weights = self._weights[name]
        if update:
            self.min_weight.copy_(weights.min())
            # No value is read: a step with this loss can be captured as a graph.
            last = self.stage == len(self.epsilons) - 1
            self.stage += (self.min_weight > self.delta) & ~last
        return (weights * losses).sum() / (counts > 0).sum()
