"""What all weightings of this plugin have in common: rules of torchjd at work on term gradients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import ConfigError, MissingDependencyError
from perceptrain.weightings import TermGradients, Weighting

#: From a matrix to K weights.
Rule = Callable[[Tensor], Tensor]


class Aggregated(Weighting):
    """Weigh the terms by a rule that looks at how their gradients lie to each other.

    The rules see the Gramian ``J J^T`` of the gradients of the unweighted terms, in float64, or
    the matrix ``J`` itself. The weights are the rule's own, as torchjd gives them, so the weighted
    gradient is what its aggregator returns for ``J``. What the weights add up to differs from rule
    to rule. Where all gradients are zero or one is not finite, and where a rule gives no finite
    number, weights stay.

    Args:
        every: The steps from one change to the next; the first step is one.
        preference: Of rules that take one: how much each term counts, by the names of all terms.

    Raises:
        ConfigError: ``every`` is no whole number above 0, or a preference is negative.
    """

    #: Whether the rule takes the matrix of gradients, not their Gramian.
    takes_matrix = False

    def __init__(self, every: int = 1, preference: Mapping[str, float] | None = None) -> None:
        wrong = [
            f"the preference of {name!r} is {value!r}: expected a number of at least 0"
            for name, value in (preference or {}).items()
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0
        ]
        super().__init__(every, names=preference or (), faults=wrong)
        self.preference = None if preference is None else dict(preference)
        self._rule: tuple[tuple[str, ...], Rule] | None = None

    @abstractmethod
    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Make the rule for these terms.

        Args:
            names: The K terms.
            preference: Of shape ``(K,)``, or ``None``: all count the same.
        """

    def update(
        self, terms: Mapping[str, Tensor], grads: Callable[[], TermGradients]
    ) -> dict[str, Tensor]:
        """Give the weights by the rule."""
        gradients = grads()
        matrix = gradients.matrix.double()
        if not 0 < float(matrix.abs().max()) < inf:  # nothing to weigh, or nothing to trust
            return self.replace(gradients.names, self.present(gradients.names, terms_like(terms)))
        rule = self._rule_for(gradients.names)
        weights = rule(matrix if self.takes_matrix else matrix @ matrix.T)
        return self.replace(gradients.names, weights.detach().to(terms_like(terms)))

    def _rule_for(self, names: tuple[str, ...]) -> Rule:
        if self._rule is None or self._rule[0] != names:
            self._rule = names, self._make(names)
        return self._rule[1]

    def _make(self, names: tuple[str, ...]) -> Rule:
        try:
            return self.make_rule(names, self._preference_of(names))
        except ImportError as error:
            raise MissingDependencyError(
                f"{type(self).__name__} needs a solver ({error}). All solvers come with "
                'pip install "perceptrain-multiobjective[solvers]".'
            ) from error

    def _preference_of(self, names: tuple[str, ...]) -> Tensor | None:
        if self.preference is None:
            return None
        missing = [name for name in names if name not in self.preference]
        if missing:
            raise ConfigError(
                f"{type(self).__name__} has no preference for {', '.join(map(repr, missing))}; "
                f"expected a number for each term: {', '.join(map(repr, names))}."
            )
        return torch.tensor([self.preference[name] for name in names], dtype=torch.float64)

    def __getstate__(self) -> dict[str, Any]:
        # A rule is made anew; what it remembers is in the memory of the weighting.
        return self.__dict__ | {"_rule": None}


def terms_like(terms: Mapping[str, Tensor]) -> Tensor:
    """Give a term, whose dtype and device the weights have."""
    return next(iter(terms.values()))
