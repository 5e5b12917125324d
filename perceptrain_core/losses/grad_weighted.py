"""Learning-rate annealing: the weights of a loss's terms, balanced by their gradients."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, Literal

import torch
from torch import Tensor, nn

from perceptrain_core.errors import ConfigError
from perceptrain_core.losses.gradients import absolute_gradient, trainable
from perceptrain_core.losses.mse import mse_loss
from perceptrain_core.losses.supervised import as_loss
from perceptrain_core.losses.terms import named_terms, require_graphs
from perceptrain_core.types import LossFunction, Metrics, TBatch


class GradWeightedLoss(nn.Module):
    """A loss of several terms, ``L = L_fixed + sum_i w_i L_i``, whose weights follow gradients.

    Learning-rate annealing of S. Wang, Y. Teng, P. Perdikaris, "Understanding and mitigating
    gradient pathologies in physics-informed neural networks": a term whose gradient is small
    beside that of the fixed term, usually the residual of the equation, gets a larger weight.
    With ``G = max |grad L_fixed|`` over all parameters, every ``every`` steps::

        w_i <- (1 - alpha) w_i + alpha G / mean |grad(w_i L_i)|    denominator="weighted"
        w_i <- (1 - alpha) w_i + alpha G / mean |grad L_i|         denominator="unweighted"

    "weighted", with alpha = 0.1, is the journal's version (SIAM J. Sci. Comput. 43(5), 2021) and
    the code of the authors. "unweighted" is arXiv 2001.04536, algorithm 1, there with
    alpha = 0.9; they are two algorithms: where ``G / mean |grad L_i|`` stays at 2500, the first
    settles at a weight of 50 and the second at 2500.

    Warning:
        With "unweighted" a term that is nearly satisfied has hardly a gradient, and nothing holds
        its weight: on the Helmholtz equation of the paper it ran away to 2e7, and the training
        failed. ``max_weight`` bounds it; prefer "weighted".

    Weights change only in training: while gradients are on and the model is in training mode.
    In validation the loss is computed with the weights as they are. Within one optimizer step
    they change at most once, so that L-BFGS minimises one function: a trainer calls
    ``begin_step()`` before each optimizer step, and only the first call after that counts as a
    step, until ``end_steps()``. Where ``begin_step`` is not called, as in a loop of one's own,
    every training call counts. No gradient reaches ``.grad`` here, and none flows through the
    weights.

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
        max_weight: The bound of a weight that changes, or None.
        eps: A term whose mean gradient is not above this keeps its weight.
        parameters: "all" takes the statistics over all trainable parameters; "matrices" over
            those of two dimensions or more, as the code of the authors.

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
        super().__init__()
        self.loss_fn = _resolved(unweighted_loss_function)
        names = [fixed_metric] if isinstance(fixed_metric, str) else fixed_metric or []
        self.fixed = tuple(dict.fromkeys(names))
        self.alpha = alpha
        self.denominator = denominator
        self.every = every
        self.max_weight = float("inf") if max_weight is None else max_weight
        self.eps = eps
        self.parameter_kind = parameters
        self._check(metric_weights or {})
        # Tensors replaced as a whole, never changed in place: a state that was handed out stays.
        self._weights = {
            name: torch.tensor(float(weight), dtype=torch.float64)
            for name, weight in (metric_weights or {}).items()
            if name not in self.fixed
        }
        self._steps = 0
        self._stepwise = False
        self._step_open = True

    @property
    def metric_weights(self) -> dict[str, float]:
        """The current weights of the terms that are not fixed, as numbers."""
        return {name: float(weight) for name, weight in self._weights.items()}

    def get_extra_state(self) -> dict[str, Any]:
        """Give what a checkpoint keeps: the weights, and the steps counted."""
        return {"weights": dict(self._weights), "steps": self._steps}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_extra_state` gave."""
        self._weights = dict(state["weights"])
        self._steps = state["steps"]

    def extra_repr(self) -> str:
        """Show the options that matter."""
        return (
            f"fixed_metric={self.fixed}, alpha={self.alpha}, denominator={self.denominator!r}, "
            f"every={self.every}"
        )

    def begin_step(self) -> None:
        """Tell that an optimizer step begins; the next call in training may change the weights."""
        self._stepwise = True
        self._step_open = True

    def end_steps(self) -> None:
        """Tell that `begin_step` will not be called any more: every training call is a step."""
        self._stepwise = False

    def forward(self, batch: TBatch, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the weighted loss.

        Args:
            batch: What the unweighted loss takes.
            model: The model; its trainable parameters are those the gradients are taken for.

        Returns:
            The weighted sum, and as metrics the unweighted terms by their names and the weight of
            each that is not fixed as ``weight_NAME``, all detached.

        Raises:
            LossContractError: The metrics of the unweighted loss are not its terms.
            ConfigError: A name given at the start is not among them.
        """
        terms = named_terms(self.loss_fn(batch, model))
        self._require_known(terms)
        others = [name for name in terms if name not in self.fixed]
        if torch.is_grad_enabled() and model.training:
            self._advance(terms, others, model)
        weights = {name: self._weight(name, terms[name]) for name in others}
        fixed = reduce(operator.add, (terms[name] for name in self.fixed))
        loss = reduce(operator.add, (weights[name] * terms[name] for name in others), fixed)
        metrics = {name: term.detach() for name, term in terms.items()}
        metrics.update((f"weight_{name}", weight) for name, weight in weights.items())
        return loss, metrics

    def _advance(self, terms: dict[str, Tensor], others: Sequence[str], model: nn.Module) -> None:
        """Count a step, unless this call belongs to one that was counted, and change weights."""
        if self._stepwise and not self._step_open:
            return
        if self._steps % self.every == 0:
            self._update(terms, others, model)
        self._step_open = False
        self._steps += 1

    def _update(self, terms: dict[str, Tensor], others: Sequence[str], model: nn.Module) -> None:
        require_graphs(terms)
        parameters = trainable(model, matrices=self.parameter_kind == "matrices")
        fixed = reduce(operator.add, (terms[name] for name in self.fixed))
        largest = absolute_gradient(fixed, parameters).max()
        for name in others:
            mean = absolute_gradient(terms[name], parameters).mean()
            self._weights[name] = self._annealed(self._weight(name, mean), largest, mean)

    def _annealed(self, weight: Tensor, largest: Tensor, mean: Tensor) -> Tensor:
        if self.denominator == "weighted":
            mean = weight * mean
        new = (1 - self.alpha) * weight + self.alpha * largest / mean
        # A term without a gradient, or with one that is not finite, keeps its weight. No value is
        # read to decide it, for that would make a GPU wait.
        usable = (mean > self.eps) & mean.isfinite() & new.isfinite()
        return torch.where(usable, new.clamp(max=self.max_weight), weight)

    def _weight(self, name: str, like: Tensor) -> Tensor:
        weight = self._weights.get(name)
        return torch.ones_like(like.detach()) if weight is None else weight.to(like)

    def _require_known(self, terms: Mapping[str, Tensor]) -> None:
        unknown = [name for name in (*self.fixed, *self._weights) if name not in terms]
        if unknown:
            raise ConfigError(
                "GradWeightedLoss has terms that are not in the loss: "
                f"{', '.join(map(repr, unknown))}; expected those of the first call and of "
                "fixed_metric and metric_weights to be among its metrics, which are: "
                f"{', '.join(map(repr, terms)) or 'none, for it returned no metrics'}."
            )

    def _check(self, weights: Mapping[str, float]) -> None:
        numbers = {
            "alpha": self.alpha,
            "every": self.every,
            "max_weight": self.max_weight,
            "eps": self.eps,
        }
        wrong = [f"{k}={v!r}: expected a number" for k, v in numbers.items() if not _number(v)]
        if wrong:
            raise ConfigError("GradWeightedLoss: " + "; ".join(wrong) + ".")
        faults = {
            "fixed_metric is missing: name the term that keeps the weight 1": not self.fixed,
            f"alpha={self.alpha}: expected a number from 0 to 1": not 0 <= self.alpha <= 1,
            f'denominator={self.denominator!r}: expected "weighted" or "unweighted"': (
                self.denominator not in ("weighted", "unweighted")
            ),
            f"every={self.every}: expected a whole number of 1 or more": (
                not self.every >= 1 or self.every != int(self.every)
            ),
            f"max_weight={self.max_weight}: expected a positive number or None": (
                not self.max_weight > 0
            ),
            f"eps={self.eps}: expected a number that is not negative": not self.eps >= 0,
            f'parameters={self.parameter_kind!r}: expected "all" or "matrices"': (
                self.parameter_kind not in ("all", "matrices")
            ),
        }
        for name, weight in weights.items():
            finite = 0 <= weight < float("inf")
            faults[f"the weight of {name!r} is {weight}: expected 0 or more"] = not finite
            faults[f"the weight of the fixed {name!r} is {weight}: expected 1"] = (
                name in self.fixed and weight != 1
            )
        found = [text for text, wrong in faults.items() if wrong]
        if found:
            raise ConfigError("GradWeightedLoss: " + "; ".join(found) + ".")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _resolved(loss_fn: Callable[..., Any] | str | Mapping[str, Any] | None) -> LossFunction:
    if loss_fn is None:
        return mse_loss
    if isinstance(loss_fn, str | Mapping):
        from perceptrain_core.registry import get_loss  # only a name needs the registry

        return as_loss(get_loss(loss_fn))
    return as_loss(loss_fn)
