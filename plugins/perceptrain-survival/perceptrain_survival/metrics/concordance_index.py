"""The concordance index."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from perceptrain import check_choice
from perceptrain.errors import DataError
from perceptrain_survival.labels import SurvivalLabels
from perceptrain_survival.metrics.base import SurvivalMetric
from perceptrain_survival.metrics.times import censoring_weights, check_times

#: Pairs that are compared at a time, so that memory stays bounded.
_PAIRS = 2**22


class ConcordanceIndex(SurvivalMetric):
    """Share of pairs of rows whose order in time the outputs tell.

    Harrell et al. (1982): of two rows, the one whose event is known to come first should have the
    higher score. A row that is censored at the time of an event counts as later. Pairs of equal
    scores count as half. Random scores have 0.5, perfect ones 1.

    The score is the hazard ratio for "cox", the median time for "weibull", and the integral of the
    hazard over the grid for "hazard".

    Args:
        method: "harrell" counts each pair once, which depends on the censoring. "uno" weights the
            pairs of an event at ``t`` by one over the squared probability of not being censored up
            to ``t`` (Uno et al. 2011).
        until: Only events before this time count; by default all. "uno" needs it if few rows are
            observed at late times, whose weights are large.
        loss: The loss of the model: "cox", "weibull" or "hazard".
        grid: The option of "hazard".

    Raises:
        ConfigError: An option is invalid.
    """

    def __init__(
        self,
        method: str = "harrell",
        until: float | None = None,
        loss: str = "cox",
        grid: Sequence[float] | None = None,
    ) -> None:
        check_choice("method", method, ("harrell", "uno"))
        if until is not None:
            check_times("until", [until])
        self.method, self.until = method, until
        super().__init__(loss, grid)

    def value(self, outputs: Tensor, labels: SurvivalLabels) -> Tensor:
        """Return the index.

        Raises:
            DataError: No event comes before another row.
        """
        weights = torch.ones_like(labels.time, dtype=torch.float64)
        if self.method == "uno":
            weights = censoring_weights(labels).square()
        rows = labels.event if self.until is None else labels.event & (labels.time < self.until)
        concordant, comparable = _pairs(self.loss.score(outputs), labels, rows, weights)
        if not comparable:
            raise DataError(
                "No pair of rows can be compared: no event comes before another row"
                f"{'' if self.until is None else f' and before until={self.until:g}'}. Evaluate "
                "more rows."
            )
        return concordant / comparable


def _pairs(
    score: Tensor, labels: SurvivalLabels, rows: Tensor, weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the weights of the concordant and of all pairs of these rows and later ones."""
    concordant = comparable = score.new_zeros(())
    for part in torch.split(rows.nonzero()[:, 0], max(1, _PAIRS // len(score))):
        time, own = labels.time[part].unsqueeze(1), score[part].unsqueeze(1)
        later = (labels.time > time) | ((labels.time == time) & ~labels.event)
        right = (later & (own > score)).sum(1) + (later & (own == score)).sum(1) / 2
        concordant = concordant + (weights[part] * right).sum()
        comparable = comparable + (weights[part] * later.sum(1)).sum()
    return concordant, comparable
