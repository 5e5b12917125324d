"""The base of the metrics: the rows of a whole data set, and what outputs mean."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from perceptrain import check_choice
from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain_survival.labels import SurvivalLabels
from perceptrain_survival.losses.base import SurvivalLoss
from perceptrain_survival.losses.cox import CoxLoss
from perceptrain_survival.losses.hazard import HazardLoss
from perceptrain_survival.losses.weibull import WeibullLoss


class SurvivalMetric(ABC):
    """Collect outputs and labels of a data set, and compare them all at the end of the pass.

    Labels have shape ``(N, 2)``, the columns event and time; a third one, a stratum, is ignored.
    The value is computed in float64. With the loss "cox", curves need a baseline: Breslow's, of the
    rows that are evaluated.

    Args:
        loss: The loss of the model: "cox", "weibull" or "hazard".
        grid: The option of "hazard".

    Raises:
        ConfigError: The loss is unknown, or the grid does not belong to it.
    """

    higher_is_better = True

    def __init__(self, loss: str, grid: Sequence[float] | None) -> None:
        self.loss = _loss(loss, grid)
        self.reset()

    def reset(self) -> None:
        """Forget all rows."""
        self._outputs: list[Tensor] = []
        self._labels: list[Tensor] = []

    def update(self, preds: Any, target: Any) -> None:
        """Add a batch: the outputs of the model, and labels of shape ``(N, 2)``.

        Raises:
            ShapeError: The shapes do not match.
            DataError: One is not a tensor, or has invalid values.
        """
        outputs, known = self.loss.columns(preds), SurvivalLabels.of_columns(target)
        if len(outputs) != len(known):
            raise ShapeError(
                f"The model returned {len(outputs)} rows for {len(known)} rows of labels; expected "
                "as many."
            )
        self._outputs.append(outputs.detach().double())
        # In their dtype, to which times are rounded that are compared with them.
        wide = target.dtype if target.is_floating_point() else torch.float64
        self._labels.append(target[:, :2].to(wide, copy=True))

    def merge_state(self, other: SurvivalMetric) -> None:
        """Add the rows that another metric of the same class has seen."""
        self._outputs += other._outputs
        self._labels += other._labels

    def to(self, device: torch.device | str) -> SurvivalMetric:
        """Move the rows to a device."""
        self._outputs = [outputs.to(device) for outputs in self._outputs]
        self._labels = [labels.to(device) for labels in self._labels]
        return self

    def compute(self) -> Any:
        """Return the metric over all rows; NaN if an output is NaN.

        Raises:
            DataError: There is no row or no event, or nothing can be compared.
        """
        name = type(self).__name__
        if not self._labels:
            raise DataError(f"{name} has seen no rows, so it has no value.")
        outputs = torch.cat(self._outputs)
        labels = SurvivalLabels.of_columns(torch.cat(self._labels))
        if not bool(labels.event.any()):
            raise DataError(
                f"{name} has no value: all {len(labels)} rows are censored. Evaluate it on more "
                "rows, among them events."
            )
        if bool(outputs.isnan().any()):
            return torch.nan
        return self.value(outputs, labels)

    @abstractmethod
    def value(self, outputs: Tensor, labels: SurvivalLabels) -> Any:
        """Return the metric.

        Args:
            outputs: The outputs of the model, shape ``(N, width)``, float64.
            labels: Events, at least one, and times, float32 or float64.
        """


def _loss(name: str, grid: Sequence[float] | None) -> SurvivalLoss:
    check_choice("loss", name, ("cox", "weibull", "hazard"))
    if name == "hazard":
        if grid is None:
            raise ConfigError('loss="hazard" needs a grid: the same as the loss has.')
        return HazardLoss(grid=grid)
    if grid is not None:
        raise ConfigError(f'grid is an option of loss="hazard", and loss={name!r}: leave it out.')
    return CoxLoss() if name == "cox" else WeibullLoss()
