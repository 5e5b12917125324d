"""The energy distance."""

from __future__ import annotations

from perceptrain_distributions.losses.kernel import KernelLoss


class EnergyLoss(KernelLoss):
    """The energy distance ``E|x - y| - E|x - x'| / 2 - E|y - y'| / 2``, computed by geomloss.

    This is half the squared distance of Szekely and Rizzo, and the maximum mean discrepancy with
    the kernel ``-|x - y|`` (Sejdinovic et al., arXiv 1207.6076). The kernel has no length scale, so
    clouds that are far apart still attract each other. Both clouds must have the same total weight.

    Time is proportional to ``N M``, and so is memory without pykeops.

    Args:
        backend: "tensorized" uses dense matrices. "online" and "multiscale" use pykeops, with
            memory linear in the number of points; "multiscale" is for clouds in 1 to 3 dimensions.
            "auto" lets geomloss choose by size, or is "tensorized" without pykeops.
        gather: Whether to compare the points of all processes in training, as one process with the
            whole batch does. In validation and test each process compares its own.

    Raises:
        ConfigError: The backend is unknown.
        MissingDependencyError: The backend needs pykeops, which is not installed.
    """

    def __init__(self, *, backend: str = "auto", gather: bool = False) -> None:
        super().__init__("energy", backend=backend, gather=gather)
