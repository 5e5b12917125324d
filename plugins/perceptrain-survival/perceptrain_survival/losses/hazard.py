"""The likelihood of a hazard that the model returns at given times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_survival.curves.breslow import BreslowBaseline
from perceptrain_survival.labels import SurvivalLabels
from perceptrain_survival.losses.base import SurvivalLoss
from perceptrain_survival.time_lists import numbers_of


class HazardLoss(SurvivalLoss):
    """Negative log-likelihood of censored times, for a hazard of any shape.

    The model returns the logarithm of the hazard at each time of the grid, shape ``(N, K)``.
    Between them the hazard is linear, and after the last one constant. The term of a row is the
    integral of the hazard up to its time, minus the logarithm of the hazard there if the event
    happened. Batches without an event have a loss like any other.

    Args:
        grid: At least three increasing times, from 0: a list or an array.
        reduction: "mean" over the rows, or "sum".

    Raises:
        ConfigError: The grid is invalid, or ``reduction`` is unknown.
    """

    output_activation = "exp"
    name = "hazard"
    meaning = "the logarithm of the hazard at each time of the grid"

    def __init__(self, *, grid: Sequence[float], reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.grid = _check_grid(grid)
        self.widths = (len(self.grid),)

    @staticmethod
    def output_size(size: int, *, grid: Sequence[float], **options: Any) -> int:
        """Return the number of outputs of the model, one for each time of the grid."""
        return len(grid)

    def terms(self, outputs: Tensor, labels: SurvivalLabels) -> tuple[Tensor, int | Tensor]:
        """Return a term for each row, and the number of rows."""
        cumulative, log_hazard = self._at(outputs, labels.time.to(outputs).unsqueeze(1))
        terms = cumulative - torch.where(labels.event.unsqueeze(1), log_hazard, 0.0)
        return terms[:, 0], len(terms)

    def score(self, outputs: Tensor) -> Tensor:
        """Return the logarithm of the integral of the hazard over the grid."""
        end = outputs.new_tensor([self.grid[-1]]).expand(len(outputs), 1)
        return self._at(outputs, end)[0][:, 0].log()

    def survival(
        self, outputs: Tensor, times: Tensor, baseline: BreslowBaseline | None = None
    ) -> Tensor:
        """Return the probability that the event comes after each time, shape ``(N, T)``.

        Args:
            outputs: Shape ``(N, K)``.
            times: Shape ``(T,)``.
            baseline: Not used.
        """
        times = times.to(outputs).expand(len(outputs), len(times))
        return torch.exp(-self._at(outputs, times)[0])

    def _at(self, outputs: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """Return the integral and the logarithm of the hazard at times of shape ``(N, T)``."""
        grid = outputs.new_tensor(self.grid)
        width = grid.diff()
        hazard = outputs.exp()
        parts = (hazard[:, 1:] + hazard[:, :-1]) / 2 * width
        whole = torch.cat([torch.zeros_like(parts[:, :1]), parts.cumsum(1)], 1)
        left = (torch.searchsorted(grid, times.contiguous(), right=True) - 1).clamp(min=0)
        right = (left + 1).clamp(max=len(grid) - 1)
        rest = times - grid[left]
        # After the grid both ends are the last time, and the share does not matter.
        share = (rest / width[left.clamp(max=len(width) - 1)]).clamp(0, 1)
        log_hazard = torch.logaddexp(
            outputs.gather(1, left) + torch.log1p(-share).clamp(min=_least(outputs)),
            outputs.gather(1, right) + torch.log(share).clamp(min=_least(outputs)),
        )
        ends = hazard.gather(1, left) + log_hazard.exp()
        return whole.gather(1, left) + rest * ends / 2, log_hazard


def _least(outputs: Tensor) -> float:
    """Return a logarithm that stands for that of 0, and whose sums are finite."""
    return torch.finfo(outputs.dtype).min / 4


def _check_grid(grid: Any) -> tuple[float, ...]:
    numbers = numbers_of(grid)
    if len(numbers) < 3 or numbers[0] != 0 or sorted(set(numbers)) != numbers:
        raise ConfigError(
            f"grid={grid!r:.80}: expected at least three increasing times from 0, such as "
            "[0, 1, 2, 5], up to about the longest time of the data."
        )
    return tuple(numbers)
