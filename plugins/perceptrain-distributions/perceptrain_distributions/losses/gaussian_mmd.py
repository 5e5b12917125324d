"""The maximum mean discrepancy with a Gaussian kernel."""

from __future__ import annotations

from geomloss import SamplesLoss  # type: ignore[import-untyped]
from torch import Tensor

from perceptrain_distributions.clouds import Clouds
from perceptrain_distributions.losses.cloud import CloudLoss
from perceptrain_distributions.options import check_positive


class GaussianMMDLoss(CloudLoss):
    """Half the squared maximum mean discrepancy with a Gaussian kernel, by geomloss.

    ``E k(x, x') / 2 + E k(y, y') / 2 - E k(x, y)`` with ``k(x, y) = exp(-|x - y|^2 / (2 blur^2))``
    (Gretton et al., arXiv 0805.2368). Beyond a few ``blur`` the kernel is flat: clouds that lie
    further apart do not attract each other. The total weights of the clouds may
    differ.

    Memory and time grow with the product of the numbers of points.

    Args:
        blur: The width of the kernel, in the units of the points. The default suits points in the
            unit cube.

    Raises:
        ConfigError: The width is no number above 0.
    """

    balanced = False

    def __init__(self, *, blur: float = 0.05) -> None:
        super().__init__()
        check_positive("blur", blur)
        self.criterion = SamplesLoss("gaussian", blur=blur, backend="tensorized")

    def measure(self, clouds: Clouds) -> Tensor:
        """Give the discrepancy of each pair of clouds."""
        value: Tensor = self.criterion(
            clouds.cloud_weights, clouds.cloud, clouds.weights, clouds.points
        )
        return value
