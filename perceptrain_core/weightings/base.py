"""What a weighting is: it gives the terms of a loss their weights as training goes on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf, isfinite
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import ConfigError
from perceptrain_core.weightings.support.term_gradients import TermGradients

#: Terms by name, 0-dim tensors.
Terms = Mapping[str, Tensor]
#: Gives the gradient of each term; whoever does not call it does not pay for it.
Gradients = Callable[[], TermGradients]


class Weighting(nn.Module):
    """Gives the terms of a loss their weights; `WeightedLoss` puts it to work.

    Subclasses override `update`. A term without a weight has the weight 1. What `update` needs to
    remember it keeps in ``memory``, tensors and plain values, which checkpoints hold with the
    weights.

    Args:
        every: Steps of the optimizer from one update to the next; the first step is one.
        initial: The weights to start with; it is copied.
        names: Terms that the loss must have, beside those of ``initial``.
        faults: What a subclass has found wrong with its own options, told with the others.

    Attributes:
        names: Terms that the loss must have.
        weights: The weights of the latest update, by the names of the terms.
        memory: Whatever else has to survive a resume.

    Raises:
        ConfigError: ``every`` is no whole number above 0, or a weight is negative or not finite.
    """

    def __init__(
        self,
        every: int = 1,
        initial: Mapping[str, float] | None = None,
        *,
        names: Iterable[str] = (),
        faults: Iterable[str] = (),
    ) -> None:
        super().__init__()
        given = initial or {}
        wrong = [*faults]
        if not is_number(every) or every < 1 or every != int(every):
            wrong.append(f"every={every!r}: expected a whole number of 1 or more")
        wrong += [
            f"the weight of {name!r} is {weight!r}: expected a number of at least 0"
            for name, weight in given.items()
            if not is_number(weight) or not 0 <= weight < inf
        ]
        if wrong:
            raise ConfigError(f"{type(self).__name__}: {'; '.join(wrong)}.")
        self.every = int(every)
        self.names = tuple(dict.fromkeys((*names, *given)))
        # Tensors replaced as a whole, never changed in place: a state that was handed out stays.
        self.weights: dict[str, Tensor] = {
            name: torch.tensor(float(weight), dtype=torch.float64) for name, weight in given.items()
        }
        self.memory: dict[str, Any] = {}
        self._told_of_bound = False

    def update(self, terms: Terms, grads: Gradients) -> dict[str, Tensor]:
        """Give new weights.

        Called in training, at most once in a step of the optimizer.

        Args:
            terms: The terms, 0-dim tensors without a graph.
            grads: Called, it gives the gradient of each term with respect to the parameters.

        Returns:
            A 0-dim tensor for each term whose weight is not 1.
        """
        raise NotImplementedError

    def combine(self, terms: Terms, weights: Terms) -> Tensor:
        """Put the loss together: the weighted sum.

        Args:
            terms: The terms, 0-dim tensors with their graph.
            weights: The weights, of the dtype and on the device of their terms.
        """
        return weighted_sum(terms, weights)

    def weight(self, name: str, like: Tensor) -> Tensor:
        """Give the present weight of a term, of the dtype and on the device of a tensor."""
        weight = self.weights.get(name)
        return torch.ones_like(like.detach()) if weight is None else weight.to(like)

    def number(self, name: str) -> float:
        """Give the present weight of a term as a number, read from its device."""
        return float(self.weights[name]) if name in self.weights else 1.0

    def present(self, names: Sequence[str], like: Tensor) -> Tensor:
        """Give the present weights of K terms, of shape ``(K,)``."""
        return torch.stack([self.weight(name, like) for name in names])

    def replace(self, names: Sequence[str], new: Tensor) -> dict[str, Tensor]:
        """Take new weights of K terms, of shape ``(K,)``; give all weights.

        One that is not finite is not taken. No value is read to decide it, for that would make a
        GPU wait.
        """
        new = torch.where(new.isfinite(), new, self.present(names, new[0]))
        self.weights |= dict(zip(names, new.unbind(), strict=True))
        return dict(self.weights)

    def recall(self, key: str, names: Sequence[str], default: Tensor) -> Tensor:
        """Give the values in memory of K terms, of shape ``(K,)``; of new ones the default."""
        known = self.memory.get(key, {})
        pairs = zip(names, default.unbind(), strict=True)
        return torch.stack([known[name].to(own) if name in known else own for name, own in pairs])

    def remember(self, key: str, names: Sequence[str], values: Tensor) -> None:
        """Keep a value for each of K terms in memory."""
        found = dict(zip(names, values.unbind(), strict=True))
        self.memory[key] = {**self.memory.get(key, {}), **found}

    def take(
        self, new: Mapping[str, float], like: Tensor, bound: float = inf, advice: str = ""
    ) -> dict[str, Tensor]:
        """Take new weights that are plain numbers; give all weights.

        A few numbers are read from a device once and worked with in Python faster than as so many
        tensors. One that is not finite is not taken, and a bound is told of when it first holds.

        Args:
            new: The numbers, by the names of the terms.
            like: The weights get its dtype and device.
            bound: The largest weight.
            advice: What to say beside that a weight is held there.
        """
        finite = {name: weight for name, weight in new.items() if isfinite(weight)}
        values = like.new_tensor([min(weight, bound) for weight in finite.values()])
        self.weights |= dict(zip(finite, values.unbind(), strict=True))
        held = [name for name, weight in finite.items() if weight >= bound]
        self.tell_of_bound(held, bound, advice)
        return dict(self.weights)

    def tell_of_bound(self, held: Sequence[str], bound: float, advice: str) -> None:
        """Warn, once, that weights have reached a bound, if any have."""
        if held and not self._told_of_bound:
            self._told_of_bound = True
            warnings.warn(
                f"The weight of {', '.join(held)} is held at max_weight={bound:g}. {advice}",
                stacklevel=2,
            )

    def get_extra_state(self) -> dict[str, Any]:
        """Give what a checkpoint keeps."""
        return {"weights": dict(self.weights), "memory": dict(self.memory)}

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_extra_state` gave."""
        self.weights, self.memory = dict(state["weights"]), dict(state["memory"])


def weighted_sum(terms: Terms, weights: Terms) -> Tensor:
    """Add the terms, each times its weight; one that has none counts as it is."""
    parts = [weights[name] * term if name in weights else term for name, term in terms.items()]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def number_faults(values: Mapping[str, object], low: float = 0, high: float = inf) -> list[str]:
    """Say which options are no numbers from ``low`` to ``high``; infinity is none."""
    span = f"a number from {low:g} to {high:g}" if high < inf else f"a number >= {low:g}"
    return [
        f"{name}={value!r}: expected {span}"
        for name, value in values.items()
        if not (is_number(value) and low <= value <= high and abs(value) < inf)  # type: ignore[operator, arg-type]
    ]


def is_number(value: object) -> bool:
    """Whether a value is a number, and no bool."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def ratios(now: Tensor, then: Tensor) -> Tensor:
    """Give how terms stand to what they were; 1 for one that was nothing or not finite then."""
    return torch.where((then > 0) & then.isfinite(), now / then, 1)
