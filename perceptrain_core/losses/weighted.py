"""A loss of several terms, each with a weight that a weighting gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed, nn

from perceptrain_core.errors import ConfigError
from perceptrain_core.losses.mse import mse_loss
from perceptrain_core.losses.supervised import as_loss
from perceptrain_core.losses.support.terms import named_terms, require_graphs
from perceptrain_core.tensors import Detached, describe, detached
from perceptrain_core.types import LossFunction, Metrics, TBatch
from perceptrain_core.weightings.base import Weighting, weighted_sum
from perceptrain_core.weightings.support.precomputed_gradient import KnownLoss
from perceptrain_core.weightings.support.reachable_parameters import Leaves
from perceptrain_core.weightings.support.term_gradients import TermGradients, term_gradients


class WeightedLoss(nn.Module):
    """The sum of a loss's terms, each times its weight, ``L = sum_i w_i L_i``.

    Weights change only in training: while gradients are on and the model is in training mode.
    In validation the loss is computed with the weights as they are. Within one step of the
    optimizer they change at most once, so that L-BFGS minimises one function: a trainer calls
    ``begin_step()`` before each step, and only the first call after that counts as a step, until
    ``end_steps()``. Where ``begin_step`` is not called, as in a loop of one's own, every training
    call counts. No gradient flows through the weights, unless the weighting has parameters of its
    own, and nothing but the backward pass of the loss touches ``.grad``.

    On a step in which the weighting looks at the gradients of the terms, the gradient of the loss
    is put together from them, and ``loss.backward()`` only hands it out: such a step costs about as
    much as any other. Where more is asked of the loss, such as second derivatives, or somebody else
    waits for gradients (hooks of parameters, other processes, leaves of the graph that are no
    parameters), it is differentiated as usual. Hooks of parameters see the gradient of each term
    too, as with ``torch.autograd.grad``.

    Args:
        loss_fn: A loss whose metrics are its terms, 0-dim tensors with their graph, such as the
            losses of a PINN: a function, or a registered name. By default the mean squared error.
            The sum that it returns itself is not used.
        weighting: A `Weighting`, or a registered name, or a mapping with a name and options; or
            any module with ``every`` and ``update(terms, grads)``.

    Raises:
        ConfigError: The weighting is none.
    """

    def __init__(
        self, loss_fn: LossFunction | str | Mapping[str, Any] | None, weighting: Any
    ) -> None:
        super().__init__()
        self.loss_fn = _resolved_loss(loss_fn)
        self.weighting: Any = _resolved_weighting(weighting)
        self._weights: dict[str, Tensor] = dict(getattr(self.weighting, "weights", {}))
        self._count = _StepCount()
        self._leaves = Leaves()

    @property
    def metric_weights(self) -> dict[str, float]:
        """The present weights, as numbers."""
        return {name: float(weight) for name, weight in self._weights.items()}

    def get_extra_state(self) -> dict[str, Any]:
        """Give what a checkpoint keeps: the weights, and the steps counted."""
        return {
            "weights": dict(self._weights),
            "steps": self._count.steps,
            "leaves": self._leaves.state(),
        }

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_extra_state` gave."""
        self._weights = dict(state["weights"])
        self._count.steps = state["steps"]
        self._leaves.restore(state["leaves"])

    def begin_step(self) -> None:
        """Tell that an optimizer step begins; the next call in training may change the weights."""
        self._count.begin_step()
        self._tell("begin_step")

    def end_steps(self) -> None:
        """Tell that `begin_step` will not be called any more: every training call is a step."""
        self._count.stepwise = False
        self._tell("end_steps")

    def _tell(self, what: str) -> None:
        """Let the loss inside know too, if it counts steps."""
        told = getattr(self.loss_fn, what, None)
        if told is not None:
            told()

    def forward(self, batch: TBatch, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the weighted loss.

        Args:
            batch: What the unweighted loss takes.
            model: The model.

        Returns:
            The weighted sum, and as metrics the unweighted terms by their names and the weight of
            each that has one as ``weight_NAME``, all detached.

        Raises:
            LossContractError: The metrics of the unweighted loss are not its terms.
            ConfigError: A name given at the start is not among them.
        """
        terms = named_terms(self.loss_fn(batch, model))
        metrics = dict(detached(terms))
        gradients = None
        if torch.is_grad_enabled() and model.training and self._count.is_due(self.weighting.every):
            # Copies: what a weighting does to them does not happen to the loss.
            values = {name: term.clone() for name, term in metrics.items()}
            gradients = self._update(terms, values, batch, model)
        weights = {name: w.to(terms[name]) for name, w in self._weights.items() if name in terms}
        loss = self._combine(terms, weights, gradients)
        metrics.update((f"weight_{name}", weight) for name, weight in weights.items())
        return loss, Detached(metrics)

    def _update(
        self, terms: dict[str, Tensor], values: dict[str, Tensor], batch: TBatch, model: nn.Module
    ) -> TermGradients | None:
        """Let the weighting change the weights; give the gradients, if it looked at them."""
        if self._count.steps == 1:
            self._check_names(terms)
            require_graphs(terms)
        found: list[TermGradients] = []

        def grads() -> TermGradients:
            if not found:
                modules = [part for part in (model, self.loss_fn) if isinstance(part, nn.Module)]
                parameters, complete = self._leaves.find(terms, batch, model, modules)
                gradients = term_gradients(terms, parameters, batch, model)
                gradients.exact &= complete
                found.append(gradients)
            return found[0]

        new = self.weighting.update(values, grads)
        self._check_weights(new, terms)
        self._weights = _averaged({name: weight.detach() for name, weight in new.items()})
        return found[0] if found else None

    def _check_names(self, terms: dict[str, Tensor]) -> None:
        missing = [name for name in getattr(self.weighting, "names", ()) if name not in terms]
        if missing:
            raise ConfigError(
                f"{type(self.weighting).__name__} names terms that are not in the loss: "
                f"{', '.join(map(repr, missing))}; expected names of its metrics, which are: "
                f"{', '.join(map(repr, terms))}."
            )

    def _check_weights(self, new: Any, terms: dict[str, Tensor]) -> None:
        """Check what the weighting gave; its names only once, for terms may come and go."""
        kind = type(self.weighting).__name__
        if not isinstance(new, Mapping):
            raise ConfigError(
                f"{kind}.update returned {describe(new)}; expected a dict with a 0-dim tensor for "
                "each term that has a weight, and {} where none has."
            )
        for name, weight in new.items():
            if not isinstance(weight, Tensor) or weight.ndim:
                raise ConfigError(
                    f"{kind}.update gave {describe(weight)} as the weight of {name!r}; expected a "
                    "0-dim tensor, such as torch.tensor(2.0)."
                )
            if self._count.steps == 1 and name not in terms:
                raise ConfigError(
                    f"{kind}.update gave a weight for {name!r}; the terms of the loss are "
                    f"{', '.join(map(repr, terms))}."
                )

    def __getstate__(self) -> dict[str, Any]:
        # A copy is for another model.
        return self.__dict__ | {"_leaves": Leaves()}

    def _combine(
        self,
        terms: dict[str, Tensor],
        weights: dict[str, Tensor],
        gradients: TermGradients | None,
    ) -> Tensor:
        combine = getattr(self.weighting, "combine", weighted_sum)
        a_sum = getattr(combine, "__func__", combine) in _SUMS
        if gradients is None or not (a_sum and gradients.exact) or _in_group():
            return combine(terms, weights)
        values = torch.stack([*terms.values()]).detach()
        one = torch.ones_like(values[0])
        factors = torch.stack([weights.get(name, one) for name in terms])
        value = (values * factors).sum()
        return KnownLoss.of(factors, gradients, value, lambda: combine(terms, weights))


@dataclass
class _StepCount:
    """Counts steps of the optimizer; beside the module, whose attributes are slow to set.

    Attributes:
        steps: Those that began.
        stepwise: Whether somebody tells when one begins.
        open: Whether the one that began has not been counted.
    """

    steps: int = 0
    stepwise: bool = False
    open: bool = True

    def begin_step(self) -> None:
        self.stepwise = self.open = True

    def is_due(self, every: int) -> bool:
        """Count a step, unless it was counted; whether it is one of those that update."""
        if self.stepwise and not self.open:
            return False
        self.open = False
        self.steps += 1
        return (self.steps - 1) % every == 0


_SUMS = (weighted_sum, Weighting.combine)


def _in_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _averaged(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the means over the processes of a run, so that all minimise the same function."""
    if not _in_group():
        return weights
    weights = {name: weight.clone() for name, weight in weights.items()}
    for weight in weights.values():
        distributed.all_reduce(weight)
        weight /= distributed.get_world_size()
    return weights


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
