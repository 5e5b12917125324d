"""The energy distance."""

from __future__ import annotations

from perceptrain_distributions.losses.kernel import KernelLoss


class EnergyLoss(KernelLoss):
    """The energy distance, ``E|x - y| - E|x - x'| / 2 - E|y - y'| / 2``, by geomloss.

    Half the squared distance of Szekely and Rizzo; the maximum mean discrepancy with the kernel
    ``-|x - y|`` (Sejdinovic et al., arXiv 1207.6076). It has no scale to choose, so clouds that
    are far apart still attract each other. Both clouds must have the same total weight.

    Time grows with the product of the numbers of points, and so does memory without pykeops.

    Args:
        backend: "tensorized" for whole matrices; "online" or "multiscale" for pykeops, whose memory
            grows with the number of points alone, the last for clouds in 1 to 3 dimensions; "auto"
            as geomloss chooses by size, tensorized without pykeops.

    Raises:
        ConfigError: There is no such backend.
        MissingDependencyError: The backend needs pykeops, which is not installed.
    """

    def __init__(self, *, backend: str = "auto") -> None:
        super().__init__("energy", backend=backend)
