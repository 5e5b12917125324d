"""Adaptive collocation points: retain, resample, release (R3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from perceptrain_core.data.support.sampling import ProbaDist, check_proba_dist, draw_points
from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.option_checks import number_faults, refuse


class R3Dataset(Dataset[Tensor]):
    """Points of which an update resamples those with a low fitness.

    Daw, Bu, Wang, Perdikaris, Karpatne, "Mitigating propagation failures in physics-informed
    neural networks using retain-resample-release (R3) sampling", arXiv 2207.02338: points with a
    high fitness, usually the size of the residual there, are retained; the rest is released, and
    as many are drawn from the distribution in their place. `R3Sampling` calls
    `update` during training; or call it yourself.

    An item is one point. Put the data set into a ``DataLoader``, pass it to ``fit`` directly or
    in a dict of data: the epoch after an update trains on the new points. The tensor itself is
    changed, so that ``to_dataloader(dataset.features)`` sees them too. Workers of a
    ``DataLoader`` copy the points when an epoch starts, which is early enough; with
    ``persistent_workers=True`` they would keep their first copy: leave it off.

    Args:
        proba_dist: ``proba_dist(n)`` draws ``n`` points, a tensor of shape ``(n, d)``; or an
            object of ``torch.distributions``.
        n_samples: The number of points; updates do not change it.
        release_threshold: Points whose fitness is below it are released.

    Attributes:
        features: The points, a tensor of shape ``(n_samples, d)``, of the dtype and on the
            device that they are drawn with.
        n_retained: Points that the latest update kept; all of them before the first.
        n_released: Points that it resampled.

    Raises:
        DataError: ``proba_dist`` is neither a function nor a distribution, or returns something
            other than points; ``n_samples`` is not a positive integer; or the threshold is not a
            finite number.
    """

    def __init__(
        self, proba_dist: ProbaDist, n_samples: int, release_threshold: float = 0.1
    ) -> None:
        check_proba_dist(proba_dist)
        faults = number_faults({"n_samples": n_samples}, whole=True, at_least=1)
        faults += number_faults({"release_threshold": release_threshold})
        refuse("R3Dataset", faults, DataError)
        self.proba_dist = proba_dist
        self.n_samples = n_samples
        self.release_threshold = float(release_threshold)
        # A copy, because updates change it in place, and the caller may own what was drawn.
        self.features = draw_points(proba_dist, n_samples).clone()
        self.n_retained, self.n_released = n_samples, 0

    def __len__(self) -> int:
        """The number of points."""
        return self.n_samples

    def __getitem__(self, index: int) -> Tensor:
        """Return a point, of shape ``(d,)``."""
        return self.features[index]

    def __getitems__(self, indices: list[int]) -> list[Tensor]:
        """Return several points at once; a ``DataLoader`` uses this to build batches."""
        return list(self.features[indices])

    def update(self, fitness_values: Tensor) -> None:
        """Keep the points of high fitness, each in its row, and resample the others.

        Args:
            fitness_values: A number for each point, of shape ``(n_samples,)`` or
                ``(n_samples, 1)``. A point is kept if its fitness is at least the threshold;
                where it is NaN the point is released.

        Raises:
            ShapeError: The fitness is not a tensor of this shape; then nothing is changed.
            DataError: ``proba_dist`` returned points of another shape; then nothing is changed.
        """
        n = self.n_samples
        if not isinstance(fitness_values, Tensor) or fitness_values.shape not in {(n,), (n, 1)}:
            given = getattr(fitness_values, "shape", type(fitness_values).__name__)
            raise ShapeError(
                f"The fitness is {given if isinstance(given, str) else tuple(given)}; expected a "
                f"tensor of shape ({n},) or ({n}, 1), one number for each point: do not reduce it."
            )
        retained = fitness_values.detach().reshape(n) >= self.release_threshold
        released = retained.logical_not().to(self.features.device)
        count = int(released.sum())
        if count:
            self.features[released] = self._draw(count)
        self.n_retained, self.n_released = n - count, count

    def _draw(self, n: int) -> Tensor:
        points = draw_points(self.proba_dist, n)
        if points.shape[1:] != self.features.shape[1:]:
            raise DataError(
                f"proba_dist({n}) returned points of shape {tuple(points.shape[1:])}; at the start "
                f"they had the shape {tuple(self.features.shape[1:])}."
            )
        return points.to(self.features)

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the points, and the counts of the latest update."""
        return {
            "features": self.features.clone(),
            "n_retained": self.n_retained,
            "n_released": self.n_released,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the points in place.

        Raises:
            ShapeError: The saved points have another shape; then nothing is changed.
        """
        saved = state["features"]
        if saved.shape != self.features.shape:
            raise ShapeError(
                f"The saved points have the shape {tuple(saved.shape)}, this data set's "
                f"{tuple(self.features.shape)}: create it with the same n_samples."
            )
        with torch.no_grad():
            self.features.copy_(saved)
        self.n_retained, self.n_released = int(state["n_retained"]), int(state["n_released"])
