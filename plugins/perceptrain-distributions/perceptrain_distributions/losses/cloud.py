"""The base of losses between point clouds: a batch in, the mean distance out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_distributions.batches import split_batch
from perceptrain_distributions.clouds import Clouds, make_clouds


class CloudLoss(nn.Module, ABC):
    """A distance between the cloud that a model makes and a target cloud.

    The order of the points does not matter, and the clouds may differ in the number of points. A
    loss of your own has a `measure`.

    Attributes:
        balanced: Whether both clouds must have the same total weight.
    """

    balanced = True

    def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        """Evaluate the loss.

        Args:
            batch: ``(inputs, points)``, or a dict with "inputs", "points" and, if there are any,
                "weights" of the points and "input_weights" of the points that the model makes.
                Points have the shape ``(M, d)``, or ``(B, M, d)`` for ``B`` clouds; weights
                ``(M,)`` or ``(B, M)``. By default all points of a cloud weigh the same, ``1 / M``.
            model: It maps the inputs to a cloud ``(N, d)``, or to ``(B, N, d)``, whose dtype is
                that of the points.

        Returns:
            The distance, 0-dim, and no metrics. Of ``B`` pairs of clouds it is the mean.

        Raises:
            DataError: The batch, the dtypes or the weights cannot be.
            ShapeError: The clouds do not fit each other, or the weights their clouds.
        """
        parts = split_batch(batch)
        cloud = model(parts.inputs)
        loss = self.distance(cloud, parts.points, parts.weights, parts.input_weights)
        return loss, {}

    def distance(
        self,
        cloud: Tensor,
        points: Tensor,
        weights: Tensor | None = None,
        cloud_weights: Tensor | None = None,
    ) -> Tensor:
        """Measure two clouds without a model.

        Args:
            cloud: ``(N, d)`` or ``(B, N, d)``.
            points: The target, ``(M, d)`` or ``(B, M, d)``.
            weights: Of the target, ``(M,)`` or ``(B, M)``; by default ``1 / M`` each.
            cloud_weights: Of the cloud, ``(N,)`` or ``(B, N)``; by default ``1 / N`` each.

        Returns:
            The distance, 0-dim. Of ``B`` pairs of clouds it is the mean.

        Raises:
            DataError: The dtypes or the weights cannot be.
            ShapeError: The clouds do not fit each other, or the weights their clouds.
        """
        clouds = make_clouds(cloud, points, weights, cloud_weights, balanced=self.balanced)
        # Autocast would lower the products that distances are differences of.
        with torch.autocast(clouds.cloud.device.type, enabled=False):
            return self.measure(clouds).mean()

    @abstractmethod
    def measure(self, clouds: Clouds) -> Tensor:
        """Give the distance of two clouds, 0-dim, or of each pair of several, ``(B,)``."""
