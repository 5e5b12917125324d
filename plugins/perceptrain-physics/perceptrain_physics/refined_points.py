"""Points that gather where the residual is large."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from perceptrain.errors import DataError, ShapeError
from perceptrain_physics.box import Sampler


class RefinedPoints(Dataset[Tensor]):
    """Points to which those of the largest residual are added, or which are drawn by it anew.

    The strategies, in their usual names:

    - "rar": add the candidates of the largest fitness (Lu et al., "DeepXDE", SIAM Review 63(1),
      2021).
    - "rad": draw all points anew from the candidates, with probabilities proportional to
      ``fitness^k / mean(fitness^k) + c`` (Wu et al., arXiv 2207.10289).
    - "rar_d": add points that are drawn so.

    An item is one point. Put the data set into a ``DataLoader``, give it to ``fit`` as it is, or in
    a dict of data: the epoch after an update trains on the new points. `ResidualRefinement` updates
    it in training, or call `update`.

    Args:
        sample: ``sample(n)`` draws ``n`` points, of shape ``(n, d)``: at the start, and candidates.
        n_samples: Points at the start.
        strategy: "rar", "rad" or "rar_d".
        add: Points that an update adds; "rad" adds none.
        k: The power of the fitness; larger gathers more. By default that of the paper, 1, and 2
            for "rar_d".
        c: The share that is spread evenly; larger gathers less. By default that of the paper, 1,
            and 0 for "rar_d".

    Attributes:
        features: The points, a tensor of shape ``(N, d)``; another after each update.

    Raises:
        DataError: There is no such strategy, or a number cannot be.
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
        if strategy not in {"rar", "rad", "rar_d"}:
            raise DataError(f"strategy={strategy!r}: expected 'rar', 'rad' or 'rar_d'.")
        k = (2.0 if strategy == "rar_d" else 1.0) if k is None else k
        c = (0.0 if strategy == "rar_d" else 1.0) if c is None else c
        whole = all(isinstance(number, int) and number > 0 for number in (n_samples, add))
        if not whole or not k >= 0 or not c >= 0:
            raise DataError(
                f"n_samples={n_samples!r}, add={add!r}, k={k!r}, c={c!r}: expected whole numbers "
                "of at least 1, and k and c from 0 on."
            )
        self.sample = sample
        self.strategy = strategy
        self.add = add
        self.k, self.c = k, c
        self.features = sample(n_samples).detach().clone()

    def __len__(self) -> int:
        """The number of points at present."""
        return len(self.features)

    def __getitem__(self, index: int) -> Tensor:
        """Give a point, of shape ``(d,)``."""
        return self.features[index]

    def __getitems__(self, indices: list[int]) -> list[Tensor]:
        """Give several points at once; a ``DataLoader`` asks so for its batches."""
        return list(self.features[indices])

    def update(self, candidates: Tensor, fitness: Tensor) -> None:
        """Choose among candidates by their fitness.

        Args:
            candidates: Points of shape ``(M, d)``.
            fitness: A number from 0 on for each, usually the size of the residual there, of shape
                ``(M,)`` or ``(M, 1)``; NaN counts as 0.

        Raises:
            ShapeError: There is not one number for each candidate.
            DataError: There are fewer candidates than are to be chosen.
        """
        if fitness.shape not in {(len(candidates),), (len(candidates), 1)}:
            raise ShapeError(
                f"The fitness has the shape {tuple(fitness.shape)}; expected "
                f"({len(candidates)},), one number for each candidate: do not reduce it."
            )
        wanted = len(self) if self.strategy == "rad" else self.add
        if len(candidates) < wanted:
            raise DataError(
                f"{wanted} points are to be chosen among {len(candidates)} candidates: draw more."
            )
        chosen = candidates.detach()[self._choose(fitness, wanted)].to(self.features)
        if self.strategy == "rad":
            self.features = chosen
        else:
            self.features = torch.cat([self.features, chosen])

    def _choose(self, fitness: Tensor, wanted: int) -> Tensor:
        values = fitness.detach().reshape(-1).double().nan_to_num(nan=0.0).abs()
        if self.strategy == "rar":
            return values.topk(wanted).indices
        if not values.max() < inf:  # what is infinite counts as the largest that is not
            finite = values[values < inf]
            values = values.clamp(max=float(finite.max()) if len(finite) else 1.0)
        powers = (values / values.max().clamp(min=torch.finfo(values.dtype).tiny)) ** self.k
        even = torch.ones_like(powers)
        mean = powers.mean()
        density = powers / mean + self.c * even if mean > 0 else even
        if int((density > 0).sum()) < wanted:  # c = 0, and too few with any residual
            density = density + even * torch.finfo(density.dtype).tiny
        # Each candidate once; drawn on the CPU, so that a seed fixes it on every device.
        return torch.multinomial(density.cpu(), wanted).to(fitness.device)

    def state_dict(self) -> dict[str, Any]:
        """Give the points, as a copy."""
        return {"features": self.features.clone()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the points back; there may be another number of them.

        Raises:
            ShapeError: They are of another dimension. Nothing is changed then.
        """
        saved = state["features"]
        if saved.shape[1:] != self.features.shape[1:]:
            raise ShapeError(
                f"The saved points have the shape {tuple(saved.shape)}, those of this data set "
                f"{tuple(self.features.shape)}: they belong to another problem."
            )
        self.features = saved.to(self.features).clone()
