"""Weights of points that follow their residuals, without gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_physics.losses.point_weighted import PointWeightedLoss, check_length


class ResidualAttentionLoss(PointWeightedLoss):
    """Weigh points by the running history of their residuals.

    Anagnostopoulos, Toscano, Stergiopulos, Karniadakis, "Residual-based attention and connection to
    information bottleneck theory in PINNs", arXiv 2307.00379. At each step
    ``w = decay * w + rate * abs(r) / max(abs(r))``, and the term is the mean of ``(w r)^2``. The
    weights stay below ``rate / (1 - decay)``. Each belongs to one point: give the same points at
    each step, in one batch and one order.

    Args:
        names: The conditions that are weighed; None for all.
        decay: Gamma of the paper.
        rate: Eta of the paper.
        start: The weights at the start.

    Attributes:
        weights: The weights by name, of shape ``(N,)``, once there has been a step; kept in
            ``state_dict``.

    Raises:
        ConfigError: A number cannot be.
    """

    def __init__(
        self,
        names: Sequence[str] | None = None,
        *,
        decay: float = 0.999,
        rate: float = 0.01,
        start: float = 0.0,
    ) -> None:
        super().__init__(names)
        if not 0 <= decay < 1 or not rate > 0 or not start >= 0:
            raise ConfigError(
                f"decay={decay!r}, rate={rate!r}, start={start!r}: expected a decay from 0 on and "
                "below 1, a rate above 0, and a start from 0 on."
            )
        self.decay, self.rate, self.start = decay, rate, start
        self.weights: dict[str, Tensor] = {}

    def weigh(self, name: str, points: Tensor, squares: Tensor, update: bool) -> Tensor:
        """Give the mean of the squares, each times that of its weight."""
        weights = self.weights.get(name)
        if weights is None:
            weights = torch.full_like(squares, self.start, requires_grad=False)
        weights = weights.to(squares)
        check_length(name, weights, squares)
        if update:
            size = squares.detach().sqrt()
            largest = size.max().clamp_min(torch.finfo(size.dtype).tiny)
            weights = self.decay * weights + self.rate * size / largest
            self.weights[name] = weights
        return (weights.square() * squares).mean()

    def get_extra_state(self) -> dict[str, Any]:
        """Give what a checkpoint keeps: the weights."""
        return {"weights": dict(self.weights)}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_extra_state` gave."""
        self.weights = dict(state["weights"])
