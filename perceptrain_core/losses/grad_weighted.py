"""Learning-rate annealing as a loss: terms weighted by their gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from perceptrain_core.losses.weighted import WeightedLoss
from perceptrain_core.weightings.grad_weighted import GradWeighted


class GradWeightedLoss(WeightedLoss):
    """A loss of several terms, ``L = L_fixed + sum_i w_i L_i``, whose weights follow gradients.

    It is the `WeightedLoss` of the weighting `GradWeighted`, learning-rate annealing: S. Wang,
    Y. Teng, P. Perdikaris, "Understanding and mitigating gradient pathologies in physics-informed
    neural networks". A term whose gradient is small beside that of the fixed term, usually the
    residual of the equation, gets a larger weight. With ``G = max |grad L_fixed|`` over all
    parameters, every ``every`` steps::

        w_i <- (1 - alpha) w_i + alpha G / mean |grad(w_i L_i)|    denominator="weighted"
        w_i <- (1 - alpha) w_i + alpha G / mean |grad L_i|         denominator="unweighted"

    "weighted", with alpha = 0.1, is the journal's version (SIAM J. Sci. Comput. 43(5), 2021) and
    the code of the authors. "unweighted" is arXiv 2001.04536, algorithm 1, there with
    alpha = 0.9; they are two algorithms: where ``G / mean |grad L_i|`` stays at 2500, the first
    settles at a weight of 50 and the second at 2500.

    Warning:
        With "unweighted" a term that is nearly satisfied has hardly a gradient, and nothing holds
        its weight: on the Helmholtz equation of the paper it ran away to 2e7, and the training
        failed. ``max_weight`` bounds it, and a warning says when; prefer "weighted".

    Args:
        batch: Not used; there for the older form of the call.
        unweighted_loss_function: A loss whose metrics are its terms, 0-dim tensors with their
            graph, such as the losses of a PINN: a function, or a registered name. By default the
            mean squared error. The sum that it returns itself is not used.
        optimizer: Not used; there for the older form of the call.
        metric_weights: The weights to start with, by the names of the terms; others start at 1.
            It is copied.
        fixed_metric: The name of the fixed term, or several names whose sum is fixed. Needed.
        alpha: The share of the new value, from 0 (weights stay) to 1 (no memory).
        denominator: "weighted" or "unweighted", see above.
        every: The steps from one change to the next; the first step is one. The experiments of
            the paper use 10.
        max_weight: The bound of a weight that changes, or ``None``.
        eps: A term whose mean gradient is not above this keeps its weight.
        parameters: "all" takes the statistics over all trainable parameters; "matrices" over
            those of two dimensions or more, weights without biases.

    Raises:
        ConfigError: An argument cannot be; the message lists every fault at once.
    """

    def __init__(
        self,
        batch: object = None,
        unweighted_loss_function: Callable[..., Any] | str | Mapping[str, Any] | None = None,
        optimizer: object = None,
        metric_weights: Mapping[str, float] | None = None,
        fixed_metric: str | Sequence[str] | None = None,
        alpha: float = 0.1,
        *,
        denominator: Literal["weighted", "unweighted"] = "weighted",
        every: int = 10,
        max_weight: float | None = 1e4,
        eps: float = 1e-12,
        parameters: Literal["all", "matrices"] = "all",
    ) -> None:
        weighting = GradWeighted(
            fixed_metric or (),
            alpha,
            denominator=denominator,
            every=every,
            max_weight=max_weight,
            eps=eps,
            parameters=parameters,
            initial=metric_weights,
        )
        super().__init__(unweighted_loss_function, weighting)

    @property
    def alpha(self) -> float:
        """The share of the new value."""
        return float(self.weighting.alpha)
