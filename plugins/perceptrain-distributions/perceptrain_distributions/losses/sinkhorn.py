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
    """The Sinkhorn divergence, an entropy-regularized optimal transport, computed by geomloss.

    Feydy et al., "Interpolating between optimal transport and MMD using Sinkhorn divergences",
    arXiv 1810.08278; with a ``reach``, Sejourne et al., arXiv 1910.12958. For small ``blur`` it
    approaches the cost of optimal transport, ``W_1`` for ``p=1`` and ``W_2^2 / 2`` for ``p=2``; for
    large ``blur``, a kernel distance. Clouds that are far apart attract each other.

    The time per iteration is proportional to ``N M``, and so is memory without pykeops. geomloss
    computes the gradient from the dual potentials; it cannot be differentiated again.

    Args:
        p: The transport cost: 1 for ``|x - y|`` or 2 for ``|x - y|^2 / 2``. With a custom ``cost``,
            the exponent that converts lengths to costs, ``blur**p`` and ``reach**p``.
        blur: The finest level of detail, in the units of the points. The default suits points in
            the unit cube.
        reach: The approximate maximum transport distance; None for no limit. With a reach, the
            total weights of the clouds may differ.
        diameter: A rough upper bound of the distance between points, at which the iterations
            start; None to compute it at each call.
        scaling: The ratio of successive scales, between 0 and 1: 0.5 is fast, 0.9 accurate.
        cost: A function of tensors ``(B, N, d)`` and ``(B, M, d)`` that returns the costs
            ``(B, N, M)``, with ``B`` = 1 for single clouds. For "online" and "multiscale", a
            pykeops formula such as "Norm2(X-Y)". None for the cost of ``p``.
        debias: Whether to remove the entropic bias, so that two equal clouds have distance 0.
        backend: "tensorized" uses dense matrices. "online" and "multiscale" use pykeops, with
            memory linear in the number of points; "multiscale" is for clouds in 1 to 3 dimensions.
            "auto" lets geomloss choose by size, or is "tensorized" without pykeops.
        truncate: For "multiscale", the truncation distance in units of ``blur``; None for none.
        cluster_scale: For "multiscale", the size of the coarse cells; None for an estimate.
        gather: Whether to compare the points of all processes in training, as one process with the
            whole batch does. In validation and test each process compares its own.

    Raises:
        ConfigError: An option is invalid.
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
        gather: bool = False,
    ) -> None:
        super().__init__(gather=gather)
        _check_cost(p, cost)
        check_positive("blur", blur)
        check_positive("scaling", scaling, below=1)
        optional = {"reach": reach, "diameter": diameter, "truncate": truncate}
        for name, value in {**optional, "cluster_scale": cluster_scale}.items():
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
        """Return the divergence of each pair of clouds."""
        cloud, points = clouds.cloud, clouds.points
        grad = torch.is_grad_enabled()
        if not grad:
            cloud = cloud.detach()
        criterion = self._criterion(diameter=self.diameter or self._diameter(cloud, points))
        # geomloss enables gradients, and does not restore the previous setting.
        with torch.set_grad_enabled(grad):
            value: Tensor = criterion(clouds.cloud_weights, cloud, clouds.weights, points)
        return value

    def _diameter(self, cloud: Tensor, points: Tensor) -> float:
        """Return the diagonal of the box around both clouds, as geomloss does.

        If the diagonal is 0 (all points coincide) or not finite, geomloss fails on its logarithm.
        Starting from ``blur`` instead returns 0, or NaN, which the trainer reports.
        """
        both = torch.cat([cloud.detach().flatten(0, -2), points.flatten(0, -2)])
        diagonal = (both.amax(0) - both.amin(0)).norm().item()
        return diagonal if 0 < diagonal < math.inf else self.blur


def _check_cost(p: object, cost: object) -> None:
    if cost is None:
        if p not in (1, 2) or isinstance(p, bool):
            raise ConfigError(f"p={p!r}: expected 1 or 2, or a cost in addition.")
        return
    check_positive("p", p)
    if not callable(cost) and not isinstance(cost, str):
        raise ConfigError(f"cost={cost!r}: expected a function of two tensors, or None.")


def _checked_cost(cost: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    """Evaluate a cost and check its shape, because geomloss would broadcast a wrong one."""
    costs = cost(x, y)
    expected = (*x.shape[:2], y.shape[1])
    if not isinstance(costs, Tensor) or costs.shape != expected:
        raise ShapeError(
            f"The cost of points {tuple(x.shape)} and {tuple(y.shape)} is {describe(costs)}; "
            f"expected a tensor of shape {expected}. The arguments of a cost have a leading batch "
            "dimension."
        )
    return costs
