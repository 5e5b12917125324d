"""A sampler that draws points where the residual of a model is large."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain import check_choice
from perceptrain.errors import DataError, ShapeError
from perceptrain_physics.box import Sampler
from perceptrain_physics.checks import check_numbers, checked_points, described, is_function
from perceptrain_physics.fitness import Fitness, choose_by_density, residual_size, sizes
from perceptrain_physics.inputs import coordinates, other_inputs
from perceptrain_physics.wrapped import evaluating, pinn_in


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
        DataError: The strategy or the equation is unknown, an argument is of the wrong kind, or a
            number is out of range.
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
        if not is_function(sample, 1):
            raise DataError(
                f"sample is {described(sample)}; expected a function of n that draws n points, "
                "such as box.inside."
            )
        if not isinstance(model, nn.Module):
            raise DataError(
                f"model is {described(model)}; expected the model itself, the one that is trained."
            )
        _check_fitness(fitness, model)
        check_numbers("", candidates=candidates, whole=True, at_least=1, error=DataError)
        check_numbers("", k=k, c=c, at_least=0, error=DataError)
        self.sample = sample
        self.model = model
        self.fitness: Fitness = residual_size(fitness) if isinstance(fitness, str) else fitness
        self.strategy = strategy
        self.candidates = candidates
        self.k, self.c = k, c
        self._last: Tensor | None = None

    def __call__(self, n: int) -> Tensor:
        """Draw ``n`` points, of shape ``(n, d)``.

        Raises:
            DataError: The sampler did not return points.
            ShapeError: The network is a function of another number of coordinates.
        """
        if self.strategy == "rad":
            candidates = checked_points(self.sample(max(n, self.candidates)))
            chosen = choose_by_density(self._fitness(candidates), n, self.k, self.c)
            return candidates[chosen.to(candidates.device)]
        points = checked_points(self.sample(n))
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
            try:
                return self.fitness(moved, self.model).detach()
            except (ShapeError, RuntimeError) as error:
                self._explain(error, moved)
                raise

    def _explain(self, error: Exception, points: Tensor) -> None:
        """Raise an error that says so if the points and the network differ in coordinates."""
        pinn, d = pinn_in(self.model), points.shape[-1]
        found = other_inputs(self.model if pinn is None else pinn.nn, d)
        if found is not None:
            raise ShapeError(
                f"The sampler draws points with {coordinates(d)}, and the network is a function of "
                f"{coordinates(found)}; expected the same. Pass the sampler of the problem that "
                "the model solves, such as its box.inside."
            ) from error

    def state_dict(self) -> dict[str, Any]:
        """Return the points of the last draw, which "r3" retains in part."""
        return {"last": self._last}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._last = state["last"]


def _check_fitness(fitness: Any, model: nn.Module) -> None:
    if not isinstance(fitness, str):
        if not is_function(fitness, None, model):
            raise DataError(
                f"fitness is {described(fitness)}; expected the name of an equation, or a function "
                "fitness(points, model)."
            )
        return
    pinn = pinn_in(model)
    if pinn is None:
        raise DataError(
            f"fitness={fitness!r} names an equation, and the model is {described(model)}; "
            "expected a PINN, which has equations. Pass the PINN, or a function "
            "fitness(points, model)."
        )
    check_choice("fitness", fitness, list(pinn.equations), error=DataError)
