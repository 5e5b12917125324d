"""The base class of weightings: how the weights of a loss's terms change during training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, nan
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.capturing import is_capturing
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.user_warnings import warn_user
from perceptrain_core.weightings.support.term_gradients import TermGradients

#: The terms by name, 0-dim tensors.
Terms = Mapping[str, Tensor]
#: Computes the gradient of each term when called, and costs nothing otherwise.
Gradients = Callable[[], TermGradients]

_CHECK_EVERY = 100  # updates; checking a bound reads a value, which makes a GPU wait


class Weighting(nn.Module):
    """Weights for the terms of a loss, for use in a `WeightedLoss`.

    A scheme overrides `target`, which returns the weights that it wants now. The base class
    smooths them, keeps them within bounds, leaves a weight unchanged where the new one is NaN or
    infinite, and saves them in checkpoints. A scheme that needs full control overrides `update`
    instead. A term without a weight has the weight 1.

    Store any state that must survive a resume in ``memory``: tensors and plain values.

    Args:
        every: Optimizer steps between updates. The first step updates.
        initial: Initial weights by term name; other terms start at 1. Copied.
        momentum: Share of the old value in a new weight, from 0 (no smoothing) to 1 (weights never
            change).
        min_weight: Lower bound of a weight, or ``None``.
        max_weight: Upper bound of a weight, or ``None``. Warns the first time a weight reaches it;
            on a GPU this is checked every 100 updates.
        eps: Smallest denominator that `ratio` divides by.
        fixed_metric: Terms whose weight is always 1, and which the loss must have.
        names: Further terms that the loss must have.
        faults: Faults that a subclass found in its own options, reported with the others.

    Attributes:
        names: Terms that the loss must have.
        weights: The current weights by term name.
        memory: State that is saved in checkpoints.

    Raises:
        ConfigError: An option is invalid; the message lists every fault.
    """

    #: What the warning recommends when a weight has reached ``max_weight``.
    advice = "Check the scale of this term."
    #: Whether `update` draws random numbers, which have to be the same in all processes.
    draws = False
    #: Attributes that do not matter to the weights.
    uncaptured: tuple[str, ...] = ("_bound",)

    def __init__(
        self,
        every: int = 1,
        initial: Mapping[str, float] | None = None,
        *,
        momentum: float = 0.0,
        min_weight: float | None = None,
        max_weight: float | None = None,
        eps: float = 0.0,
        fixed_metric: Iterable[str] = (),
        names: Iterable[str] = (),
        faults: Iterable[str] = (),
    ) -> None:
        super().__init__()
        self.fixed_metric = tuple(dict.fromkeys(fixed_metric))
        weights = dict(initial or {})
        bounds = {"min_weight": min_weight, "max_weight": max_weight}
        refuse(
            type(self).__name__,
            [
                *faults,
                *number_faults({"every": every}, whole=True, at_least=1),
                *number_faults({"momentum": momentum}, at_least=0, at_most=1),
                *number_faults({k: v for k, v in bounds.items() if v is not None}, above=0),
                *number_faults({"eps": eps}, at_least=0),
                *_weight_faults(weights, self.fixed_metric),
            ],
        )
        self.every = int(every)
        self.momentum = momentum
        self.min_weight = self._lower = -inf if min_weight is None else min_weight
        self.max_weight = inf if max_weight is None else max_weight
        self.eps = eps
        self.names = tuple(dict.fromkeys((*self.fixed_metric, *names, *weights)))
        # Tensors are replaced, never changed in place, so a saved state stays as it was saved.
        self.weights: dict[str, Tensor] = {
            name: torch.tensor(float(weight), dtype=torch.float64)
            for name, weight in weights.items()
            if name not in self.fixed_metric
        }
        self.memory: dict[str, Any] = {}
        self._bound = _BoundCheck()

    def target(self, terms: Terms, grads: Gradients) -> Tensor | Sequence[float] | None:
        """Return the weights that the scheme wants now, before smoothing and bounds.

        Args:
            terms: K terms, 0-dim tensors without a graph.
            grads: Call it for the gradient of each term with respect to the parameters.

        Returns:
            K numbers in the order of ``terms``, or a tensor of shape ``(K,)``. Numbers are faster
            on a CPU; with a tensor no value is read, so a GPU does not wait. Where the new weight
            is NaN or infinite, the weight is left unchanged. ``None`` leaves all unchanged.
        """
        raise NotImplementedError

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Update the weights; called during training, at most once per optimizer step.

        Args:
            terms: K terms, 0-dim tensors without a graph.
            grads: Call it for the gradient of each term with respect to the parameters.

        Returns:
            A 0-dim tensor for each term whose weight is not 1.
        """
        new = self.target(terms, grads)
        if isinstance(new, Tensor):
            return self.replace(tuple(terms), new)
        if new is not None:
            # Not by `replace`: on a CPU its tensor operations add up to 3% to a small step.
            like = next(iter(terms.values()))
            numbers = [self._limited(*pair) for pair in zip(terms, new, strict=True)]
            self._store(tuple(terms), torch.tensor(numbers, dtype=like.dtype, device=like.device))
        return dict(self.weights)

    def combine(self, terms: Terms, weights: Terms) -> Tensor:
        """Compute the loss from its terms: the weighted sum.

        Args:
            terms: The terms, 0-dim tensors with their graph.
            weights: The weights, of the dtype and on the device of their terms.
        """
        return weighted_sum(terms, weights)

    def factors(self, terms: Terms, weights: Terms) -> Terms:
        """Return what `combine` multiplies the terms with: weights that are trained have a graph.

        Args:
            terms: The terms, 0-dim tensors with their graph.
            weights: The weights, of the dtype and on the device of their terms.
        """
        return weights

    def weight(self, name: str, like: Tensor) -> Tensor:
        """Return the current weight of a term, with the dtype and device of ``like``."""
        weight = self.weights.get(name)
        return torch.ones_like(like.detach()) if weight is None else weight.to(like)

    def number(self, name: str) -> float:
        """Return the current weight of a term as a number, read from its device."""
        return float(self.weights[name]) if name in self.weights else 1.0

    def present(self, names: Sequence[str], like: Tensor) -> Tensor:
        """Return the current weights of K terms, of shape ``(K,)``."""
        return torch.stack([self.weight(name, like) for name in names])

    def replace(
        self, names: Sequence[str], new: Tensor, previous: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Smooth new weights, apply the bounds, and store them.

        A weight that is NaN or infinite is not stored.

        Args:
            names: K terms.
            new: Their new weights, of shape ``(K,)``.
            previous: What ``momentum`` smooths with; by default the current weights.

        Returns:
            All current weights.
        """
        old = self.present(names, new[0])
        if self.momentum:
            new = torch.lerp(new, old if previous is None else previous, self.momentum)
        new = torch.where(new.isfinite(), new, old)
        if self._lower > -inf or self.max_weight < inf:
            new = new.clamp(self._lower, self.max_weight)
        self._store(names, new)
        return dict(self.weights)

    def _limited(self, name: str, new: float) -> float:
        """Smooth and bound one new weight, as `replace` does for tensors."""
        old = self.number(name)
        new = old + (1 - self.momentum) * (new - old)
        return min(max(new if isfinite(new) else old, self._lower), self.max_weight)

    def _store(self, names: Sequence[str], new: Tensor) -> None:
        pairs = zip(names, new.unbind(), strict=True)
        # In place, here and below: the attributes of a module are slow to set.
        self.weights.update((name, w) for name, w in pairs if name not in self.fixed_metric)
        self._bound.updates += 1
        waits = new.is_cuda and self._bound.updates % _CHECK_EVERY
        if self.max_weight < inf and not waits and not is_capturing():
            self._warn_of_bound(names)

    def count_update(self) -> None:
        """Count an update that a captured step has made in place of `update`."""
        self._bound.updates += 1
        if self.max_weight < inf and not self._bound.updates % _CHECK_EVERY:
            self._warn_of_bound([*self.weights])

    def _warn_of_bound(self, names: Sequence[str]) -> None:
        bound = self.max_weight * (1 - 1e-6)  # which float32 may have rounded down
        held = [n for n in names if n in self.weights and float(self.weights[n]) >= bound]
        if held and not self._bound.warned:
            self._bound.warned = True
            warn_user(
                f"The weight of {', '.join(held)} is held at max_weight={self.max_weight:g}. "
                f"{self.advice}"
            )

    def ratio(self, numerator: float, denominators: Sequence[float]) -> list[float]:
        """Divide by each denominator; return NaN for one that is infinite or not above ``eps``.

        A `target` that is NaN leaves the weight unchanged.
        """
        return [numerator / d if self.eps < d < inf else nan for d in denominators]

    def tensor_ratio(self, numerator: Tensor, denominators: Tensor) -> Tensor:
        """Return `ratio` for tensors, without reading them: 0-dim, and of shape ``(K,)``."""
        usable = (denominators > self.eps) & (denominators < inf)
        return torch.where(usable, numerator / denominators, nan)

    def recall(self, key: str, names: Sequence[str], default: Tensor) -> Tensor:
        """Return the values of K terms in ``memory``, of shape ``(K,)``.

        A term without a value has that of ``default``.
        """
        known = self.memory.get(key, {})
        pairs = zip(names, default.unbind(), strict=True)
        return torch.stack([known[name].to(own) if name in known else own for name, own in pairs])

    def remember(self, key: str, names: Sequence[str], values: Tensor) -> None:
        """Store a value for each of K terms in ``memory``."""
        new = dict(zip(names, values.unbind(), strict=True))
        self.memory[key] = {**self.memory.get(key, {}), **new}

    def get_extra_state(self) -> dict[str, Any]:
        """Return the state that a checkpoint saves."""
        return {"weights": dict(self.weights), "memory": dict(self.memory)}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Restore the state that `get_extra_state` returned."""
        self.weights, self.memory = dict(state["weights"]), dict(state["memory"])


@dataclass
class _BoundCheck:
    """When `Weighting` looks whether a weight has reached its bound.

    Attributes:
        updates: Updates that were counted.
        warned: Whether a warning was issued.
    """

    updates: int = 0
    warned: bool = False


def _weight_faults(weights: Mapping[str, object], fixed_metric: Sequence[str]) -> list[str]:
    faults = number_faults({f"the weight of {n!r}": w for n, w in weights.items()}, at_least=0)
    return faults + [
        f"the weight of {name!r} is {weights[name]!r}: expected 1, because it is the fixed_metric"
        for name in fixed_metric
        if weights.get(name, 1) != 1
    ]


def weighted_sum(terms: Terms, weights: Terms) -> Tensor:
    """Add the terms, each times its weight; a term without a weight has the weight 1."""
    parts = [weights[name] * term if name in weights else term for name, term in terms.items()]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def progress(now: Tensor, then: Tensor) -> Tensor:
    """Return ``now / then``; 1 where ``then`` is not a positive finite number."""
    return torch.where((then > 0) & then.isfinite(), now / then, 1)
