"""Residual-based attention: point weights from past residuals, without gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from perceptrain_physics.checks import check_numbers
from perceptrain_physics.losses.point_weighted import PointWeightedLoss, check_length


class ResidualAttentionLoss(PointWeightedLoss):
    """Weight points by an exponential moving average of their normalized residuals.

    Anagnostopoulos, Toscano, Stergiopulos, Karniadakis, "Residual-based attention and connection to
    information bottleneck theory in PINNs", arXiv 2307.00379. At each step
    ``w = decay * w + rate * abs(r) / max(abs(r))``, and the term is the mean of ``(w r)^2``. The
    weights stay below ``rate / (1 - decay)``. Each weight belongs to one point, so use the same
    points in the same order at every step, all in one batch.

    Args:
        names: The conditions to weight; None for all.
        decay: Gamma in the paper.
        rate: Eta in the paper.
        start: Initial value of the weights.

    Attributes:
        weights: The weights by condition, of shape ``(N,)``; empty before the first step. Saved in
            ``state_dict``.

    Raises:
        ConfigError: An option is out of range.
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
        name = "ResidualAttentionLoss"
        check_numbers(name, decay=decay, at_least=0, below=1)
        check_numbers(name, rate=rate, above=0)
        check_numbers(name, start=start, at_least=0)
        self.decay, self.rate, self.start = decay, rate, start
        self.weights: dict[str, Tensor] = {}

    def weigh(self, name: str, points: Tensor, squares: Tensor, update: bool) -> Tensor:
        """Return the mean of squared weight times squared residual."""
        weights = self.weights.get(name)
        if weights is None:
            weights = torch.full_like(squares, self.start, requires_grad=False)
        weights = weights.to(squares)
        check_length(name, weights, squares)
        if update:
            residuals = squares.detach().sqrt()
            largest = residuals.max().clamp_min(torch.finfo(residuals.dtype).tiny)
            weights = self.decay * weights + self.rate * residuals / largest
            self.weights[name] = weights
        return (weights.square() * squares).mean()

    def get_extra_state(self) -> dict[str, Any]:
        """Return the weights, for ``state_dict``."""
        return {"weights": dict(self.weights)}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the weights."""
        self.weights = dict(state["weights"])
