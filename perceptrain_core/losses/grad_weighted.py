"""Learning-rate annealing as a loss: terms weighted by their gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from perceptrain_core.errors import ConfigError
from perceptrain_core.losses.weighted import WeightedLoss
from perceptrain_core.weightings.grad_weighted import GradWeighted
from perceptrain_core.weightings.support.old_spellings import accepts_old_spellings, share_of_old


@accepts_old_spellings
class GradWeightedLoss(WeightedLoss):
    """Learning-rate annealing: ``L = L_fixed + sum_i w_i L_i``, with weights from gradients.

    Short for a `WeightedLoss` with the weighting `GradWeighted`: S. Wang, Y. Teng, P. Perdikaris,
    "Understanding and mitigating gradient pathologies in physics-informed neural networks". A term
    whose gradient is small compared with that of the fixed term, usually the residual of the
    equation, gets a larger weight. With ``G = max |grad L_fixed|`` over all parameters, every
    ``every`` steps::

        w_i <- momentum w_i + (1 - momentum) G / mean |grad(w_i L_i)|    denominator="weighted"
        w_i <- momentum w_i + (1 - momentum) G / mean |grad L_i|         denominator="unweighted"

    "weighted" with momentum 0.9 is the journal's version (SIAM J. Sci. Comput. 43(5), 2021) and
    the authors' code. "unweighted" is arXiv 2001.04536, algorithm 1, which uses momentum 0.1. They
    are two algorithms: where ``G / mean |grad L_i|`` stays at 2500, the first settles at a weight
    of 50 and the second at 2500.

    Warning:
        With "unweighted", a term that is nearly satisfied has almost no gradient, and its weight
        grows without limit: on the paper's Helmholtz equation it reached 2e7, and the training
        failed. ``max_weight`` stops it; prefer "weighted".

    Args:
        batch: Unused; kept for the older form of the call.
        unweighted_loss_function: A loss whose metrics are its terms, 0-dim tensors with their
            graph, such as the losses of a PINN: a function, or a registered name. By default the
            mean squared error. The loss value that it returns is not used.
        optimizer: Unused; kept for the older form of the call.
        initial: Initial weights by term name; other terms start at 1. Copied.
        fixed_metric: The fixed term, or several terms whose sum is fixed. Required.
        alpha: Share of the new value, ``1 - momentum``; an older spelling of ``momentum``.
        momentum: Share of the old value in a new weight, from 0 (no smoothing) to 1 (weights never
            change). By default 0.9.
        denominator: "weighted" or "unweighted", see above.
        every: Optimizer steps between updates. The first step updates. The paper's experiments
            use 10; 1 did better in ours.
        max_weight: Upper bound of a weight, or ``None``. Warns the first time a weight reaches it.
        eps: The weight of a term whose mean gradient is not above this is left unchanged.
        parameters: Parameters whose gradients count: "all" trainable ones, or "matrices", those
            with two dimensions or more: weights without biases.

    Raises:
        ConfigError: An option is invalid; the message lists every fault.
    """

    def __init__(
        self,
        batch: object = None,
        unweighted_loss_function: Callable[..., Any] | str | Mapping[str, Any] | None = None,
        optimizer: object = None,
        initial: Mapping[str, float] | None = None,
        fixed_metric: str | Sequence[str] | None = None,
        alpha: float | None = None,
        *,
        momentum: float | None = None,
        denominator: Literal["weighted", "unweighted"] = "weighted",
        every: int = 1,
        max_weight: float | None = 1e4,
        eps: float = 1e-12,
        parameters: Literal["all", "matrices"] = "all",
    ) -> None:
        if alpha is not None and momentum is not None:
            raise ConfigError(
                "GradWeightedLoss got momentum twice, once by its older spelling alpha: pass "
                "momentum only."
            )
        if momentum is None:
            momentum = 0.9 if alpha is None else share_of_old(alpha)
        weighting = GradWeighted(
            fixed_metric or (),
            momentum=momentum,
            denominator=denominator,
            every=every,
            max_weight=max_weight,
            eps=eps,
            parameters=parameters,
            initial=initial,
        )
        super().__init__(unweighted_loss_function, weighting)

    @property
    def alpha(self) -> float:
        """Share of the new value in a new weight, ``1 - momentum``."""
        return round(1 - float(self.weighting.momentum), 12)
