"""The partial likelihood of Cox's model as a loss."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from perceptrain import check_choice
from perceptrain.errors import ConfigError
from perceptrain_survival.curves.breslow import BreslowBaseline
from perceptrain_survival.labels import SurvivalLabels
from perceptrain_survival.losses.base import SurvivalLoss
from perceptrain_survival.losses.partial_likelihood import negative_terms


class CoxLoss(SurvivalLoss):
    """Negative logarithm of the partial likelihood of Cox's proportional hazards model.

    Cox, "Regression Models and Life-Tables" (1972); Breslow (1974) and Efron (1977) for ties. The
    hazard of a row is ``h(t) exp(f(x))``. The model returns ``f(x)``, the logarithm of the hazard
    ratio, of shape ``(N,)`` or ``(N, 1)``; ``h(t)`` is the same for all rows and drops out. A
    constant that is added to all outputs changes nothing.

    Each event is compared with the rows of its batch that are still observed at its time, so use
    large batches. A batch without an event has the loss 0, with zero gradients, and does not count
    in means over batches. With strata, rows are compared within their stratum only.

    Args:
        ties: How events at one time are treated, "efron" or "breslow".
        reduction: "mean" over the events of the batch, or "sum".

    Raises:
        ConfigError: An option is unknown.
    """

    whole_batch: ClassVar[bool] = True
    name = "cox"
    meaning = "the logarithm of the hazard ratio"
    widths = (1,)

    def __init__(self, *, ties: str = "efron", reduction: str = "mean") -> None:
        super().__init__(reduction)
        check_choice("ties", ties, ("efron", "breslow"))
        self.ties = ties

    @staticmethod
    def output_size(size: int, **options: Any) -> int:
        """Return the number of outputs of the model, 1."""
        return 1

    def terms(self, outputs: Tensor, labels: SurvivalLabels) -> tuple[Tensor, int | Tensor]:
        """Return a term for each event, and the number of events."""
        return negative_terms(outputs[:, 0], labels, self.ties), labels.event.sum()

    def score(self, outputs: Tensor) -> Tensor:
        """Return the logarithm of the hazard ratio."""
        return outputs[:, 0]

    def survival(
        self, outputs: Tensor, times: Tensor, baseline: BreslowBaseline | None = None
    ) -> Tensor:
        """Return the probability that the event comes after each time, shape ``(N, T)``.

        Args:
            outputs: Shape ``(N, 1)``.
            times: Shape ``(T,)``.
            baseline: As `BreslowBaseline.fit` returned it, for the outputs of the training rows.

        Raises:
            ConfigError: There is no baseline.
        """
        if baseline is None:
            raise ConfigError(
                "The curves of Cox's model need a baseline: pass "
                "BreslowBaseline.fit(model(inputs), labels), with the training data."
            )
        log_hazard = baseline(times).to(outputs) + outputs
        return torch.exp(-torch.exp(log_hazard))
