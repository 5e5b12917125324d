"""Base class of kernel distances."""

from __future__ import annotations

from typing import Any

from geomloss import SamplesLoss  # type: ignore[import-untyped]
from torch import Tensor

from perceptrain_distributions.backends import choose_backend
from perceptrain_distributions.clouds import Clouds
from perceptrain_distributions.losses.cloud import CloudLoss


class KernelLoss(CloudLoss):
    """Half the squared maximum mean discrepancy, with a kernel of geomloss.

    Args:
        kernel: The name of the kernel in geomloss.
        backend: "auto", "tensorized", "online" or "multiscale".
        gather: Whether to compare the points of all processes in training, as one process with the
            whole batch does. In validation and test each process compares its own.
        **options: Other options of geomloss.

    Raises:
        ConfigError: The backend is unknown.
        MissingDependencyError: The backend needs pykeops, which is not installed.
    """

    def __init__(self, kernel: str, *, backend: str, gather: bool, **options: Any) -> None:
        super().__init__(gather=gather)
        self.criterion = SamplesLoss(kernel, backend=choose_backend(backend), **options)

    def measure(self, clouds: Clouds) -> Tensor:
        """Return the distance of each pair of clouds."""
        value: Tensor = self.criterion(
            clouds.cloud_weights, clouds.cloud, clouds.weights, clouds.points
        )
        return value
