"""The maximum mean discrepancy with a Gaussian kernel."""

from __future__ import annotations

from perceptrain_distributions.losses.kernel import KernelLoss
from perceptrain_distributions.options import check_positive


class GaussianMMDLoss(KernelLoss):
    """Half the squared maximum mean discrepancy with a Gaussian kernel, computed by geomloss.

    ``E k(x, x') / 2 + E k(y, y') / 2 - E k(x, y)`` with ``k(x, y) = exp(-|x - y|^2 / (2 blur^2))``
    (Gretton et al., arXiv 0805.2368). Beyond a few ``blur`` the kernel is flat, so clouds that are
    further apart do not attract each other. The total weights of the clouds may differ.

    Time is proportional to ``N M``, and so is memory without pykeops.

    Args:
        blur: The width of the kernel, in the units of the points. The default suits points in the
            unit cube.
        backend: "tensorized" uses dense matrices. "online" and "multiscale" use pykeops, with
            memory linear in the number of points; "multiscale" is for clouds in 1 to 3 dimensions.
            "auto" lets geomloss choose by size, or is "tensorized" without pykeops.
        gather: Whether to compare the points of all processes in training, as one process with the
            whole batch does. In validation and test each process compares its own.

    Raises:
        ConfigError: ``blur`` is not a number above 0, or the backend is unknown.
        MissingDependencyError: The backend needs pykeops, which is not installed.
    """

    balanced = False

    def __init__(self, *, blur: float = 0.05, backend: str = "auto", gather: bool = False) -> None:
        check_positive("blur", blur)
        super().__init__("gaussian", blur=blur, backend=backend, gather=gather)
