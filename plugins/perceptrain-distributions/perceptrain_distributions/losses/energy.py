"""The energy distance."""

from __future__ import annotations

from geomloss import SamplesLoss  # type: ignore[import-untyped]
from torch import Tensor

from perceptrain_distributions.clouds import Clouds
from perceptrain_distributions.losses.cloud import CloudLoss


class EnergyLoss(CloudLoss):
    """The energy distance, ``E|x - y| - E|x - x'| / 2 - E|y - y'| / 2``, by geomloss.

    Half the squared distance of Szekely and Rizzo; the maximum mean discrepancy with the kernel
    ``-|x - y|`` (Sejdinovic et al., arXiv 1207.6076). It has no scale to choose, so clouds that
    are far apart still attract each other. Both clouds must have the same total weight.

    Memory and time grow with the product of the numbers of points.
    """

    def __init__(self) -> None:
        super().__init__()
        self.criterion = SamplesLoss("energy", backend="tensorized")

    def measure(self, clouds: Clouds) -> Tensor:
        """Give the distance of each pair of clouds."""
        value: Tensor = self.criterion(
            clouds.cloud_weights, clouds.cloud, clouds.weights, clouds.points
        )
        return value
