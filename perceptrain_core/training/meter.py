"""Running means of the loss and the metrics of an epoch, read once at its end."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from perceptrain_core.errors import LossContractError
from perceptrain_core.tensors import describe, detached
from perceptrain_core.types import Metrics


class Meter:
    """Sum detached tensors on their device; nothing is read, and nothing is kept, per batch.

    A metric that only some batches have is averaged over those.

    Args:
        prefix: ``"train"``, ``"val"`` or ``"test"``; the loss is ``train_loss`` and so on.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.batches = 0
        self._loss: Any = 0.0
        self._sums: dict[str, Any] = {}
        self._counts: dict[str, int] = {}

    def add(self, loss: Tensor, metrics: Metrics) -> None:
        """Take the loss and the metrics of one batch."""
        self._loss = self._loss + loss.detach() if self.batches else loss.detach()
        self.batches += 1
        for name, value in detached(metrics).items():
            if name == "loss":  # that name is the loss's own
                continue
            if name in self._sums:
                self._sums[name] = self._sums[name] + value
                self._counts[name] += 1
            else:
                self._sums[name] = value
                self._counts[name] = 1

    def means(self) -> dict[str, float]:
        """Give the mean over the batches of the loss and of each metric, as floats.

        Raises:
            LossContractError: A metric is not a scalar.
        """
        if not self.batches:  # every one was skipped
            return {f"{self.prefix}_loss": float("nan")}
        row = {f"{self.prefix}_loss": float(self._loss) / self.batches}
        for name, total in self._sums.items():
            try:
                row[f"{self.prefix}_{name}"] = float(total) / self._counts[name]
            except (TypeError, ValueError, RuntimeError):
                raise LossContractError(
                    f"The metric {name!r} must be a number or a 0-dim tensor, got "
                    f"{describe(total)}."
                ) from None
        return row
