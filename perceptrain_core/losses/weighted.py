"""A loss of several terms whose weights change during training."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.counts import count_of, counts_of
from perceptrain_core.errors import ConfigError, LossContractError
from perceptrain_core.losses.mse import mse_loss
from perceptrain_core.losses.supervised import as_loss
from perceptrain_core.losses.support.squares import no_squares, residuals_of
from perceptrain_core.losses.support.step_count import StepCount
from perceptrain_core.losses.support.terms import named_terms, require_graphs
from perceptrain_core.processes import connected_processes
from perceptrain_core.random_state import same_random_numbers
from perceptrain_core.tensors import Detached, describe, detached
from perceptrain_core.types import Counted, LossFunction, Metrics, Residuals, SkipBatch, TBatch
from perceptrain_core.weightings.base import Weighting, weighted_sum
from perceptrain_core.weightings.support.all_processes import (
    first_weights,
    pooled_terms,
    skip_everywhere,
)
from perceptrain_core.weightings.support.precomputed_gradient import precomputed_sum
from perceptrain_core.weightings.support.reachable_parameters import ReachableParameters
from perceptrain_core.weightings.support.term_gradients import TermGradients, term_gradients


class WeightedLoss(nn.Module):
    """The weighted sum of the terms of a loss, ``L = sum_i w_i L_i``.

    Weights are updated only during training: while gradients are on and the model is in training
    mode. Validation uses the current weights. They are updated at most once per optimizer step, so
    that L-BFGS minimizes one function: a trainer calls ``begin_step()`` before each step, and then
    only the first call of the loss counts as a step, until ``end_steps()``. In a loop that does not
    call ``begin_step()``, every call in training counts. No gradient flows through the weights,
    unless the weighting has parameters of its own, and ``.grad`` is changed only by the backward
    pass of the loss.

    When the weighting uses the gradients of the terms, the gradient of the loss is assembled from
    them, and ``loss.backward()`` only adds it to ``.grad``: such a step costs little more than any
    other. The loss is differentiated as usual for second derivatives, with several processes, if a
    parameter has a hook, or if leaves of the graph other than parameters need gradients. Hooks of
    parameters are also called with the gradient of each term, as by ``torch.autograd.grad``.

    Args:
        loss_fn: A loss whose metrics are its terms, 0-dim tensors with their graph, such as the
            losses of a PINN: a function, or a registered name. By default the mean squared error.
            The loss value that it returns is not used.
        weighting: A `Weighting`, a registered name, or a mapping with a name and options; or any
            module with ``every`` and ``update(terms, grads)``.

    Raises:
        ConfigError: ``weighting`` is none of these, or ``loss_fn`` is weighted already.
    """

    def __init__(
        self, loss_fn: LossFunction | str | Mapping[str, Any] | None, weighting: Any
    ) -> None:
        super().__init__()
        self.loss_fn = _resolved_loss(loss_fn)
        self.weighting: Any = _resolved_weighting(weighting)
        if isinstance(self.loss_fn, WeightedLoss):
            raise ConfigError(_weighted_twice(self.loss_fn, self.weighting))
        self._weights: dict[str, Tensor] = dict(getattr(self.weighting, "weights", {}))
        self._count = StepCount()
        self._reachable = ReachableParameters()

    @property
    def metric_weights(self) -> dict[str, float]:
        """The current weights by term name, as numbers; 1 for a fixed term."""
        fixed = dict.fromkeys(getattr(self.weighting, "fixed_metric", ()), 1.0)
        return fixed | {name: float(weight) for name, weight in self._weights.items()}

    def get_extra_state(self) -> dict[str, Any]:
        """Return the state that a checkpoint saves: the weights and the number of steps."""
        return {
            "weights": dict(self._weights),
            "steps": self._count.steps,
            "reachable": self._reachable.state(),
        }

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `get_extra_state` returned."""
        self._weights = dict(state["weights"])
        self._count.steps = state["steps"]
        self._reachable.restore(state["reachable"])

    #: Attributes that only count calls; see `next_call` for what depends on them.
    uncaptured = ("_count", "_reachable")

    def next_call(self) -> Hashable:
        """Say which kind of call the next one in training is: each is captured as its own graph."""
        inner = getattr(self.loss_fn, "next_call", None)
        due = self._count.is_due(self.weighting.every)
        update = getattr(self.weighting, "next_update", None) if due else None
        kind = update() if update is not None else None
        return due, kind, self._count.stepwise, inner() if inner is not None else None

    def count_call(self) -> None:
        """Count a call in training that a captured step has made in place of `forward`."""
        if self._count.is_due(self.weighting.every) and hasattr(self.weighting, "count_update"):
            self.weighting.count_update()
        self._count.count()
        self._forward_to_loss("count_call")

    def begin_step(self) -> None:
        """Start an optimizer step: the next call in training may update the weights."""
        self._count.begin_step()
        self._forward_to_loss("begin_step")

    def end_steps(self) -> None:
        """Stop counting calls of `begin_step`: every call in training is a step again."""
        self._count.stepwise = False
        self._forward_to_loss("end_steps")

    def _forward_to_loss(self, method: str) -> None:
        """Call a method of the wrapped loss, if it counts steps too."""
        call = getattr(self.loss_fn, method, None)
        if call is not None:
            call()

    def forward(self, batch: TBatch, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Compute the weighted loss.

        Args:
            batch: A batch for the unweighted loss.
            model: The model.

        Returns:
            The weighted sum; and as metrics the unweighted terms by name, and the weight of each
            weighted term as ``weight_NAME``, all detached.

        Raises:
            LossContractError: The metrics of the unweighted loss are not its terms.
            ConfigError: The weighting names a term that the loss does not have.
        """
        trains = torch.is_grad_enabled() and model.training
        terms = self._terms(batch, model, trains)
        metrics = dict(detached(terms))
        gradients = None
        if trains and self._count.is_due(self.weighting.every):
            gradients = self._update(terms, metrics, batch, model)
        elif trains:
            self._count.count()
        weights = {name: w.to(terms[name]) for name, w in self._weights.items() if name in terms}
        own = getattr(self.weighting, "factors", None)
        if own and not trains:  # an optimizer has changed them since the last update
            weights = dict(detached(own(terms, weights)))
        loss = self._combine(terms, weights, gradients)
        metrics.update((f"weight_{name}", weight) for name, weight in weights.items())
        # A step that accumulates several batches differentiates the terms itself.
        kept = terms if self._count.stepwise and torch.is_grad_enabled() else {}
        factors = own(terms, weights) if own and kept else weights
        return loss, Detached(metrics, like=_counted(terms, factors, kept))

    def residuals(self, batch: TBatch, model: nn.Module) -> Residuals:
        """Return the residuals of the unweighted loss, with the current weights in the scales.

        Raises:
            LossContractError: The loss is not a sum of squares, or not their weighted sum.
        """
        if not self._is_sum():
            kind = type(self.weighting).__name__
            reason = (
                f"adds more to its terms than their weighted sum, such as the logarithms of the "
                f"weighting {kind}: use a weighting whose weights are not trained"
            )
            raise LossContractError(no_squares(self, reason))
        self._refuse_negative()
        return {
            name: (
                values,
                scale * self._weights[name].to(values) if name in self._weights else scale,
            )
            for name, (values, scale) in residuals_of(self.loss_fn, batch, model).items()
        }

    def _refuse_negative(self) -> None:
        negative = {n: float(w) for n, w in self._weights.items() if not float(w) >= 0}
        if negative:
            found = ", ".join(f"{weight:.3g} for {name!r}" for name, weight in negative.items())
            kind = type(self.weighting).__name__
            raise LossContractError(
                f"The weighting {kind} has chosen the weight {found}. A Gauss-Newton step needs a "
                "loss that is a sum of squares, with weights of at least 0: use a weighting whose "
                "weights are never negative, such as grad_norm_balance or relobralo, or another "
                "optimizer."
            )

    def _is_sum(self) -> bool:
        """Whether the loss is the weighted sum of the terms, and nothing else."""
        combine = getattr(self.weighting, "combine", weighted_sum)
        return getattr(combine, "__func__", combine) in (weighted_sum, Weighting.combine)

    def _terms(self, batch: TBatch, model: nn.Module, trains: bool) -> dict[str, Tensor]:
        try:
            return named_terms(self.loss_fn(batch, model))
        except SkipBatch:
            if trains and connected_processes() > 1:
                if self._count.is_due(self.weighting.every):
                    skip_everywhere(_device_of(model))
                else:  # the other processes count this step
                    self._count.count()
            raise

    def _update(
        self, terms: dict[str, Tensor], metrics: Metrics, batch: TBatch, model: nn.Module
    ) -> TermGradients | None:
        """Update the weights; return the gradients of the terms if the weighting used them."""
        shares: Tensor | None = None
        # Copies, so that a weighting cannot change the terms of the loss.
        values = {name: term.clone() for name, term in metrics.items()}
        if connected_processes() > 1:
            counts = counts_of(terms, batch)
            values, shares = pooled_terms(values, [count_of(name, counts) for name in terms])
        self._count.count()
        if self._count.steps == 1:
            self._check_names(terms)
            require_graphs(terms)
        computed: list[TermGradients] = []

        def grads() -> TermGradients:
            if not computed:
                modules = [part for part in (model, self.loss_fn) if isinstance(part, nn.Module)]
                parameters, complete = self._reachable.find(terms, batch, model, modules)
                gradients = term_gradients(terms, parameters, batch, model, shares)
                gradients.exact &= complete
                computed.append(gradients)
            return computed[0]

        draws = shares is not None and getattr(self.weighting, "draws", False)
        with same_random_numbers() if draws else nullcontext():
            new = self.weighting.update(values, grads)
        self._check_weights(new, terms)
        weights = {name: weight.detach() for name, weight in new.items()}
        # In place: the attributes of a module are slow to set.
        self._weights.clear()
        self._weights.update(
            weights if shares is None else first_weights(weights, _device_of(model))
        )
        return computed[0] if computed else None

    def _combine(
        self,
        terms: dict[str, Tensor],
        weights: dict[str, Tensor],
        gradients: TermGradients | None,
    ) -> Tensor:
        if gradients is None or not self._is_sum() or not gradients.exact:
            combine = getattr(self.weighting, "combine", weighted_sum)
            return combine(terms, weights)
        one = torch.ones_like(next(iter(terms.values())).detach())
        factors = torch.stack([weights.get(name, one) for name in terms])
        return precomputed_sum([*terms.values()], factors, gradients)

    def _check_names(self, terms: dict[str, Tensor]) -> None:
        missing = [name for name in getattr(self.weighting, "names", ()) if name not in terms]
        if missing:
            raise ConfigError(
                f"{type(self.weighting).__name__} names terms that are not in the loss: "
                f"{', '.join(map(repr, missing))}; expected names of its metrics, which are: "
                f"{', '.join(map(repr, terms))}."
            )

    def _check_weights(self, new: Any, terms: dict[str, Tensor]) -> None:
        """Check what ``update`` returned; names only at the first step, as terms may vary later."""
        kind = type(self.weighting).__name__
        if not isinstance(new, Mapping):
            raise ConfigError(
                f"{kind}.update returned {describe(new)}; expected a dict with a 0-dim tensor for "
                "each weighted term, {} if there is none."
            )
        for name, weight in new.items():
            if not isinstance(weight, Tensor) or weight.ndim:
                raise ConfigError(
                    f"{kind}.update returned {describe(weight)} as the weight of {name!r}; "
                    "expected a 0-dim tensor, such as torch.tensor(2.0)."
                )
            if self._count.steps == 1 and name not in terms:
                raise ConfigError(
                    f"{kind}.update returned a weight for {name!r}; expected a weight for "
                    f"each term of the loss: {', '.join(map(repr, terms))}."
                )

    def __getstate__(self) -> dict[str, Any]:
        # A copy is used with another model, so it searches for parameters again.
        return self.__dict__ | {"_reachable": ReachableParameters()}


def _counted(
    terms: dict[str, Tensor], weights: dict[str, Tensor], kept: dict[str, Tensor]
) -> dict[str, Any]:
    """Return what the terms are means over, with the terms to keep."""
    if not isinstance(terms, Counted):
        return {}
    if terms.terms is None:
        return Counted({}, terms.count)
    return Counted(kept, terms.count, {name: weights.get(name, 1.0) for name in terms})


def _device_of(model: nn.Module) -> torch.device:
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def _resolved_loss(loss_fn: Any) -> LossFunction:
    if loss_fn is None:
        return mse_loss
    if isinstance(loss_fn, str | Mapping):
        from perceptrain_core.registry import get_loss  # only a name needs the registry

        return as_loss(get_loss(loss_fn))
    return as_loss(loss_fn)


def _resolved_weighting(weighting: Any) -> Any:
    if isinstance(weighting, str | Mapping):
        from perceptrain_core.registry import get_weighting

        weighting = get_weighting(weighting)
    if isinstance(weighting, type) or not callable(getattr(weighting, "update", None)):
        raise ConfigError(
            f"weighting={weighting!r:.60}: expected an object with update(terms, grads) and "
            "every, such as a subclass of Weighting, or the name of one."
        )
    return weighting


def _weighted_twice(loss_fn: WeightedLoss, weighting: Any) -> str:
    inner, outer = type(loss_fn.weighting).__name__, type(weighting).__name__
    return (
        f"The loss is a {type(loss_fn).__name__}, whose terms are weighted by {inner} already, so "
        f"the weighting {outer} cannot weight them again. Leave out the weighting, or pass the "
        'unweighted loss with it, for example "mse" instead of "grad_weighted".'
    )
