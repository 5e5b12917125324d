"""The Sinkhorn divergence."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from geomloss import SamplesLoss  # type: ignore[import-untyped]
from torch import Tensor

from perceptrain.errors import ConfigError, ShapeError
from perceptrain_distributions.backends import choose_backend
from perceptrain_distributions.batches import describe
from perceptrain_distributions.clouds import Clouds
from perceptrain_distributions.losses.cloud import CloudLoss
from perceptrain_distributions.options import check_positive


class SinkhornLoss(CloudLoss):
    """The Sinkhorn divergence, optimal transport with blur, by geomloss.

    Feydy et al., "Interpolating between optimal transport and MMD using Sinkhorn divergences",
    arXiv 1810.08278; with a ``reach``, Sejourne et al., arXiv 1910.12958. As ``blur`` becomes
    small it is the cost of optimal transport, ``W_1`` for ``p=1`` and ``W_2^2 / 2`` for ``p=2``;
    as it becomes large, a kernel distance. Clouds that are far apart attract each other.

    The time of each of its iterations grows with the product of the numbers of points, and so does
    memory without pykeops. The gradient is that of the library, by the potentials that it found; it
    cannot be differentiated again.

    Args:
        p: The cost of transport, 1 for ``|x - y|`` or 2 for ``|x - y|^2 / 2``; with a ``cost`` of
            your own, the power that turns scales into costs, ``blur**p`` and ``reach**p``.
        blur: The finest detail that counts, in the units of the points. The default suits points
            in the unit cube.
        reach: How far weight is carried at most, roughly; None for all the way. With a reach, the
            total weights of the clouds may differ.
        diameter: A rough upper bound of the distance of two points, where the iterations start;
            None to find it at each call.
        scaling: The factor from one scale to the next, between 0 and 1: 0.5 is fast, 0.9 exact.
        cost: A function of two tensors ``(B, N, d)`` and ``(B, M, d)`` that gives the costs
            ``(B, N, M)``, ``B`` being 1 for single clouds; or, for "online" and "multiscale", a
            formula of pykeops such as "Norm2(X-Y)"; None for that of ``p``.
        debias: Whether the blur's own bias is taken off, so that two equal clouds have the
            distance 0.
        backend: "tensorized" for whole matrices; "online" or "multiscale" for pykeops, whose memory
            grows with the number of points alone, the last for clouds in 1 to 3 dimensions; "auto"
            as geomloss chooses by size, tensorized without pykeops.
        truncate: For "multiscale", how many ``blur`` away transport is looked for; None for all.
        cluster_scale: For "multiscale", the size of its coarse cells; None for a guess.

    Raises:
        ConfigError: An option cannot be.
        MissingDependencyError: The backend needs pykeops, which is not installed.
    """

    def __init__(
        self,
        *,
        p: float = 2,
        blur: float = 0.05,
        reach: float | None = None,
        diameter: float | None = None,
        scaling: float = 0.5,
        cost: Callable[[Tensor, Tensor], Tensor] | str | None = None,
        debias: bool = True,
        backend: str = "auto",
        truncate: float | None = 5,
        cluster_scale: float | None = None,
    ) -> None:
        super().__init__()
        _check_cost(p, cost)
        check_positive("blur", blur)
        check_positive("scaling", scaling, below=1)
        optional = {
            "reach": reach,
            "diameter": diameter,
            "truncate": truncate,
            "cluster_scale": cluster_scale,
        }
        for name, value in optional.items():
            if value is not None:
                check_positive(name, value)
        if not isinstance(debias, bool):
            raise ConfigError(f"debias={debias!r}: expected true or false.")
        self.balanced = reach is None
        self.blur = blur
        self.diameter = diameter
        self._criterion = partial(
            SamplesLoss,
            "sinkhorn",
            p=p,
            blur=blur,
            reach=reach,
            scaling=scaling,
            cost=partial(_checked_cost, cost) if callable(cost) else cost,
            debias=debias,
            backend=choose_backend(backend, cost),
            truncate=truncate,
            cluster_scale=cluster_scale,
        )

    def measure(self, clouds: Clouds) -> Tensor:
        """Give the divergence of each pair of clouds."""
        cloud, points = clouds.cloud, clouds.points
        grad = torch.is_grad_enabled()
        if not grad:
            cloud = cloud.detach()
        criterion = self._criterion(diameter=self.diameter or self._diameter(cloud, points))
        # The library leaves gradients on, wherever it was called.
        with torch.set_grad_enabled(grad):
            value: Tensor = criterion(clouds.cloud_weights, cloud, clouds.weights, points)
        return value

    def _diameter(self, cloud: Tensor, points: Tensor) -> float:
        """Give the diagonal of the box around both, as the library does.

        Where that is 0 (all points are one) or not finite, the library fails on its logarithm
        before it has a loss; started from ``blur`` it gives 0, or the NaN that the trainer reports.
        """
        both = torch.cat([cloud.detach().flatten(0, -2), points.flatten(0, -2)])
        diagonal = (both.amax(0) - both.amin(0)).norm().item()
        return diagonal if 0 < diagonal < math.inf else self.blur


def _check_cost(p: object, cost: object) -> None:
    if cost is None:
        if p not in (1, 2) or isinstance(p, bool):
            raise ConfigError(f"p={p!r}: expected 1 or 2, or a cost of your own with it.")
        return
    check_positive("p", p)
    if not callable(cost) and not isinstance(cost, str):
        raise ConfigError(f"cost={cost!r}: expected a function of two tensors, or None.")


def _checked_cost(cost: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Evaluate a cost; the library would broadcast one of a wrong shape, and be wrong itself."""
    costs = cost(x, y)
    expected = (*x.shape[:2], y.shape[1])
    if not isinstance(costs, Tensor) or costs.shape != expected:
        raise ShapeError(
            f"The cost of points {tuple(x.shape)} and {tuple(y.shape)} is {describe(costs)}; "
            f"expected a tensor of shape {expected}. Clouds have a first dimension for the batch "
            "there."
        )
    return costs
