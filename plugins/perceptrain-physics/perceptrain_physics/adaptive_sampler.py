"""A sampler that draws points where the residual of a model is large."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain import check_choice
from perceptrain.errors import DataError
from perceptrain_physics.box import Sampler
from perceptrain_physics.fitness import Fitness, choose_by_density, residual_size, sizes
from perceptrain_physics.wrapped import evaluating


class AdaptiveSampler:
    """Draw points by the residual that a model has at the time of the draw.

    For `FreshPoints`, which decides how often; a checkpoint includes the points. ::

        samplers = problem.samplers
        samplers["pde"] = AdaptiveSampler(samplers["pde"], model, "pde")
        loader = FreshPoints(samplers, points=2500, every=500)

    Strategies:

    - "rad": draw candidates, and choose among them with probabilities proportional to
      ``fitness^k / mean(fitness^k) + c`` (Wu et al., arXiv 2207.10289).
    - "r3": retain the points of the last draw whose fitness is above its mean, and draw the others
      anew (Daw et al., arXiv 2207.02338). The first draw is uniform.

    Args:
        sample: ``sample(n)`` draws ``n`` points, of shape ``(n, d)``.
        model: The model that is trained.
        fitness: The name of an equation of the PINN, for its absolute residual summed over columns.
            Or ``fitness(points, model)``, which returns a tensor of shape ``(n,)`` or ``(n, 1)``.
        strategy: "rad" or "r3".
        candidates: The number of candidates of "rad"; at least as many as points are drawn.
        k: Exponent of the fitness for "rad"; a larger value concentrates the points more.
        c: Weight of the uniform part for "rad"; a larger value spreads the points more.

    Raises:
        DataError: The strategy is unknown, or a number is out of range.
    """

    def __init__(
        self,
        sample: Sampler,
        model: nn.Module,
        fitness: str | Fitness,
        strategy: str = "rad",
        *,
        candidates: int = 10_000,
        k: float = 1.0,
        c: float = 1.0,
    ) -> None:
        check_choice("strategy", strategy, ("rad", "r3"), error=DataError)
        if not isinstance(candidates, int) or candidates < 1 or not k >= 0 or not c >= 0:
            raise DataError(
                f"candidates={candidates!r}, k={k!r}, c={c!r}: expected candidates to be a whole "
                "number of at least 1, and k and c at least 0."
            )
        self.sample = sample
        self.model = model
        self.fitness: Fitness = residual_size(fitness) if isinstance(fitness, str) else fitness
        self.strategy = strategy
        self.candidates = candidates
        self.k, self.c = k, c
        self._last: Tensor | None = None

    def __call__(self, n: int) -> Tensor:
        """Draw ``n`` points, of shape ``(n, d)``."""
        if self.strategy == "rad":
            candidates = self.sample(max(n, self.candidates))
            chosen = choose_by_density(self._fitness(candidates), n, self.k, self.c)
            return candidates[chosen.to(candidates.device)]
        points = self.sample(n)
        if self._last is not None and len(self._last) == n:
            fitness = sizes(self._fitness(self._last)).to(points.device)
            retained = (fitness > fitness.mean()).unsqueeze(1)
            points = torch.where(retained, self._last, points)
        self._last = points
        return points

    def _fitness(self, points: Tensor) -> Tensor:
        parameter = next(self.model.parameters(), points)
        moved = points.detach().to(parameter, copy=True).requires_grad_()
        with evaluating(self.model), torch.inference_mode(False), torch.enable_grad():
            return self.fitness(moved, self.model).detach()

    def state_dict(self) -> dict[str, Any]:
        """Return the points of the last draw, which "r3" retains in part."""
        return {"last": self._last}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._last = state["last"]
