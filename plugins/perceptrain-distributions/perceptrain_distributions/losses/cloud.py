"""Base class of losses between point clouds: a batch in, the mean distance out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain import Counted, gather_rows
from perceptrain.errors import ConfigError
from perceptrain_distributions.batches import split_batch
from perceptrain_distributions.clouds import Clouds, make_clouds


class CloudLoss(nn.Module, ABC):
    """A distance between the model's output cloud and a target cloud.

    The order of the points does not matter, and the clouds may have different numbers of points.
    Subclasses implement `measure`.

    Args:
        gather: Whether to compare the points of all processes in training, as one process with the
            whole batch does. In validation and test each process compares its own.

    Attributes:
        balanced: Whether both clouds must have the same total weight.
        whole_batch: Whether the latest batch was one pair of clouds, whose distance is not the mean
            of the distances of its parts; True before the first batch.

    Raises:
        ConfigError: ``gather`` is neither true nor false.
    """

    balanced = True
    whole_batch = True

    def __init__(self, *, gather: bool = False) -> None:
        super().__init__()
        if not isinstance(gather, bool):
            raise ConfigError(f"gather={gather!r}: expected true or false.")
        self.gather = gather

    def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, Counted]:
        """Evaluate the loss.

        Args:
            batch: ``(inputs, points)``, or a dict with "inputs", "points" and, optionally,
                "weights" of the points and "input_weights" of the model's outputs. Points have
                shape ``(M, d)``, or ``(B, M, d)`` for ``B`` clouds; weights have shape ``(M,)`` or
                ``(B, M)``. By default all points of a cloud have the same weight, ``1 / M``.
            model: It maps the inputs to a cloud of shape ``(N, d)`` or ``(B, N, d)``, in the dtype
                of the points.

        Returns:
            The distance, 0-dim, and no metrics. For ``B`` pairs of clouds it is the mean.

        Raises:
            DataError: The batch, a dtype or the weights are invalid.
            ShapeError: The shapes of the clouds, or of a cloud and its weights, do not match.
        """
        parts = split_batch(batch)
        cloud = model(parts.inputs)
        clouds = cloud, parts.points, parts.weights, parts.input_weights
        self.whole_batch = not isinstance(cloud, Tensor) or cloud.ndim == 2
        if self.whole_batch and self.gather and model.training and torch.is_grad_enabled():
            clouds = tuple(map(_gathered, clouds))
        loss = self.distance(*clouds)
        # The number of clouds, or of points; of gathered points, the same in each process.
        return loss, Counted({}, len(clouds[0]))

    def distance(
        self,
        cloud: Tensor,
        points: Tensor,
        weights: Tensor | None = None,
        cloud_weights: Tensor | None = None,
    ) -> Tensor:
        """Compute the distance of two clouds, without a model.

        Args:
            cloud: ``(N, d)`` or ``(B, N, d)``.
            points: The target, ``(M, d)`` or ``(B, M, d)``.
            weights: Weights of the target, ``(M,)`` or ``(B, M)``; by default ``1 / M`` each.
            cloud_weights: Weights of the cloud, ``(N,)`` or ``(B, N)``; by default ``1 / N`` each.

        Returns:
            The distance, 0-dim. For ``B`` pairs of clouds it is the mean.

        Raises:
            DataError: A dtype or the weights are invalid.
            ShapeError: The shapes of the clouds, or of a cloud and its weights, do not match.
        """
        clouds = make_clouds(cloud, points, weights, cloud_weights, balanced=self.balanced)
        # Autocast would reduce the precision of products whose differences are the distances.
        with torch.autocast(clouds.cloud.device.type, enabled=False):
            return self.measure(clouds).mean()

    @abstractmethod
    def measure(self, clouds: Clouds) -> Tensor:
        """Return the distance of two clouds, 0-dim, or of each of ``B`` pairs, ``(B,)``."""


def _gathered(value: Any) -> Any:
    return gather_rows(value) if isinstance(value, Tensor) else value
