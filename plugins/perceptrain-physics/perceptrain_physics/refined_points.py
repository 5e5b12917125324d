"""A data set of points that concentrates where the residual is large."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from perceptrain import check_choice
from perceptrain.errors import DataError, ShapeError
from perceptrain_physics.box import Sampler
from perceptrain_physics.checks import check_numbers, checked_points, described, is_function
from perceptrain_physics.fitness import choose_by_density, sizes


class RefinedPoints(Dataset[Tensor]):
    """Points that are resampled, or added to, where the residual is large.

    Strategies:

    - "rar": add the candidates with the largest fitness (Lu et al., "DeepXDE", SIAM Review 63(1),
      2021).
    - "rad": replace all points by candidates, drawn with probabilities proportional to
      ``fitness^k / mean(fitness^k) + c`` (Wu et al., arXiv 2207.10289).
    - "rar_d": add candidates drawn with these probabilities.

    An item is one point. Wrap the data set in a ``DataLoader``, or pass it to ``fit`` directly or
    in a dict of data; the epoch after an update trains on the new points. `ResidualRefinement`
    updates it during training; or call `update` yourself.

    Args:
        sample: ``sample(n)`` draws ``n`` points, of shape ``(n, d)``; used for the initial points
            and for candidates.
        n_samples: The number of initial points.
        strategy: "rar", "rad" or "rar_d".
        add: The number of points that an update adds; unused by "rad".
        k: Exponent of the fitness; a larger value concentrates the points more. The default is
            the paper's: 1, or 2 for "rar_d".
        c: Weight of the uniform part of the density; a larger value spreads the points more. The
            default is the paper's: 1, or 0 for "rar_d".

    Attributes:
        features: The points, a tensor of shape ``(N, d)``; replaced by each update.

    Raises:
        DataError: The strategy is unknown, or a number is out of range.
    """

    def __init__(
        self,
        sample: Sampler,
        n_samples: int,
        strategy: str = "rad",
        *,
        add: int = 10,
        k: float | None = None,
        c: float | None = None,
    ) -> None:
        check_choice("strategy", strategy, ("rar", "rad", "rar_d"), error=DataError)
        k = (2.0 if strategy == "rar_d" else 1.0) if k is None else k
        c = (0.0 if strategy == "rar_d" else 1.0) if c is None else c
        if not is_function(sample, 1):
            raise DataError(
                f"sample is {described(sample)}; expected a function of n that draws n points, "
                "such as box.inside."
            )
        check_numbers("", n_samples=n_samples, add=add, whole=True, at_least=1, error=DataError)
        check_numbers("", k=k, c=c, at_least=0, error=DataError)
        self.sample = sample
        self.strategy = strategy
        self.add = add
        self.k, self.c = k, c
        self.features = checked_points(sample(n_samples)).detach().clone()

    def __len__(self) -> int:
        """Return the current number of points."""
        return len(self.features)

    def __getitem__(self, index: int) -> Tensor:
        """Return one point, of shape ``(d,)``."""
        return self.features[index]

    def __getitems__(self, indices: list[int]) -> list[Tensor]:
        """Return several points at once; ``DataLoader`` calls this for each batch."""
        return list(self.features[indices])

    def update(self, candidates: Tensor, fitness: Tensor) -> None:
        """Select candidates by their fitness, and add them or replace all points by them.

        Args:
            candidates: Points of shape ``(M, d)``.
            fitness: A number of at least 0 per candidate, usually the absolute residual, of shape
                ``(M,)`` or ``(M, 1)``. NaN counts as 0.

        Raises:
            ShapeError: The fitness is not one number per candidate.
            DataError: There are too few candidates.
        """
        if fitness.shape not in {(len(candidates),), (len(candidates), 1)}:
            raise ShapeError(
                f"The fitness has shape {tuple(fitness.shape)}; expected ({len(candidates)},), "
                "one number per candidate: do not reduce it."
            )
        n = len(self) if self.strategy == "rad" else self.add
        if len(candidates) < n:
            raise DataError(
                f"Cannot choose {n} points among {len(candidates)} candidates: draw more."
            )
        chosen = candidates.detach()[self._choose(fitness, n)].to(self.features)
        if self.strategy == "rad":
            self.features = chosen
        else:
            self.features = torch.cat([self.features, chosen])

    def _choose(self, fitness: Tensor, n: int) -> Tensor:
        if self.strategy == "rar":
            return sizes(fitness).topk(n).indices
        return choose_by_density(fitness, n, self.k, self.c)

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the points."""
        return {"features": self.features.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the points; their number may differ from the current one.

        Raises:
            ShapeError: The saved points have another dimension. The data set is left unchanged.
        """
        saved = state["features"]
        if saved.shape[1:] != self.features.shape[1:]:
            raise ShapeError(
                f"The saved points have shape {tuple(saved.shape)}, but this data set has points "
                f"of shape {tuple(self.features.shape)}: load a state of "
                "this problem."
            )
        self.features = saved.to(self.features).clone()
