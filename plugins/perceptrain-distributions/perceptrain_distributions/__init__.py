"""Distances between point clouds as losses, on geomloss. Importing it imports no torch."""

from __future__ import annotations

from perceptrain import Spec, hookimpl, lazy_exports

with lazy_exports(__name__):
    from perceptrain_distributions.losses.cloud import CloudLoss as CloudLoss
    from perceptrain_distributions.losses.energy import EnergyLoss as EnergyLoss
    from perceptrain_distributions.losses.gaussian_mmd import GaussianMMDLoss as GaussianMMDLoss
    from perceptrain_distributions.losses.laplacian_mmd import LaplacianMMDLoss as LaplacianMMDLoss
    from perceptrain_distributions.losses.sinkhorn import SinkhornLoss as SinkhornLoss


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the distances between point clouds."""
    return [
        Spec(
            "sinkhorn",
            SinkhornLoss,
            "Sinkhorn divergence, entropic optimal transport (arXiv 1810.08278). "
            "Batch: (inputs, points).",
        ),
        Spec(
            "energy",
            EnergyLoss,
            "Energy distance of two point clouds (arXiv 1207.6076). Batch: (inputs, points).",
        ),
        Spec(
            "gaussian_mmd",
            GaussianMMDLoss,
            "Maximum mean discrepancy, Gaussian kernel (arXiv 0805.2368). Batch: (inputs, points).",
        ),
        Spec(
            "laplacian_mmd",
            LaplacianMMDLoss,
            "Maximum mean discrepancy, Laplacian kernel (arXiv 0805.2368). "
            "Batch: (inputs, points).",
        ),
    ]
