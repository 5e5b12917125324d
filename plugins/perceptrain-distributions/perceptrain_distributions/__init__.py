"""Distances between point clouds as losses, by geomloss.

Importing this module imports no torch: each name is fetched from its home when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perceptrain import Spec, hookimpl

if TYPE_CHECKING:
    from perceptrain_distributions.losses.cloud import CloudLoss
    from perceptrain_distributions.losses.energy import EnergyLoss
    from perceptrain_distributions.losses.gaussian_mmd import GaussianMMDLoss
    from perceptrain_distributions.losses.laplacian_mmd import LaplacianMMDLoss
    from perceptrain_distributions.losses.sinkhorn import SinkhornLoss

#: Where each public name lives.
_HOME = {
    "CloudLoss": f"{__name__}.losses.cloud",
    "EnergyLoss": f"{__name__}.losses.energy",
    "GaussianMMDLoss": f"{__name__}.losses.gaussian_mmd",
    "LaplacianMMDLoss": f"{__name__}.losses.laplacian_mmd",
    "SinkhornLoss": f"{__name__}.losses.sinkhorn",
}

__all__ = [
    "CloudLoss",
    "EnergyLoss",
    "GaussianMMDLoss",
    "LaplacianMMDLoss",
    "SinkhornLoss",
]


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the distances between point clouds."""
    home = "perceptrain_distributions.losses"
    return [
        Spec(
            "sinkhorn",
            f"{home}.sinkhorn:SinkhornLoss",
            "Sinkhorn divergence, optimal transport with blur (arXiv 1810.08278). "
            "Batch: (inputs, points).",
        ),
        Spec(
            "energy",
            f"{home}.energy:EnergyLoss",
            "Energy distance of two point clouds (arXiv 1207.6076). Batch: (inputs, points).",
        ),
        Spec(
            "gaussian_mmd",
            f"{home}.gaussian_mmd:GaussianMMDLoss",
            "Maximum mean discrepancy with a Gaussian kernel (arXiv 0805.2368). "
            "Batch: (inputs, points).",
        ),
        Spec(
            "laplacian_mmd",
            f"{home}.laplacian_mmd:LaplacianMMDLoss",
            "Maximum mean discrepancy with a Laplacian kernel (arXiv 0805.2368). "
            "Batch: (inputs, points).",
        ),
    ]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
