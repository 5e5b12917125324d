"""The base class of this plugin's weightings, which apply torchjd rules to term gradients."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from math import inf
from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import ConfigError, MissingDependencyError
from perceptrain.weightings import TermGradients, Weighting

#: A function from a matrix to K weights.
Rule = Callable[[Tensor], Tensor]


class Aggregated(Weighting):
    """Weight the terms by a torchjd rule, based on the angles between their gradients.

    A rule receives the Gramian ``J J^T`` of the gradients of the unweighted terms in float64, or
    the matrix ``J`` itself. The weights are not normalized, so the weighted gradient equals the
    output of the torchjd aggregator for ``J``, and the sum of the weights depends on the rule. The
    weights are left unchanged if all gradients are zero, if a gradient is not finite, or if the
    rule returns a value that is not finite, or only zeros, as ``imtl_g`` does for two opposite
    gradients: the model would stand still.

    Args:
        every: Update the weights every this many steps, starting with the first.
        preference: Importance of each term, by name, for all terms, if the rule supports it.

    Raises:
        ConfigError: ``every`` is not a whole number above 0, or a preference is negative.
    """

    #: Whether the rule requires the matrix of gradients instead of their Gramian.
    takes_matrix = False

    def __init__(self, every: int = 1, preference: Mapping[str, float] | None = None) -> None:
        faults = [
            f"the preference of {name!r} is {value!r}: expected a number of at least 0"
            for name, value in (preference or {}).items()
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0
        ]
        super().__init__(every, names=preference or (), faults=faults)
        self.preference = None if preference is None else dict(preference)
        self._rule: tuple[tuple[str, ...], Rule] | None = None

    @abstractmethod
    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Create the rule for these terms.

        Args:
            names: The names of the K terms.
            preference: Shape ``(K,)``, or ``None`` if all terms are equally important.
        """

    def update(
        self, terms: Mapping[str, Tensor], grads: Callable[[], TermGradients]
    ) -> dict[str, Tensor]:
        """Return the weights computed by the rule."""
        gradients = grads()
        matrix = gradients.matrix.double()
        largest = matrix.abs().max()
        usable = (largest > 0) & (largest < inf)  # neither all zero, nor not finite
        # Not a branch: a rule without one can be captured as a graph, and a GPU does not wait.
        matrix = matrix.where(usable, 0.0)
        rule = self._rule_for(gradients.names)
        weights = rule(matrix if self.takes_matrix else matrix @ matrix.T).detach()
        like = terms_like(terms)
        old = self.present(gradients.names, like)
        return self.replace(gradients.names, weights.to(like).where(usable & weights.any(), old))

    def _rule_for(self, names: tuple[str, ...]) -> Rule:
        if self._rule is None or self._rule[0] != names:
            self._rule = names, self._make(names)
        return self._rule[1]

    def _make(self, names: tuple[str, ...]) -> Rule:
        try:
            return self.make_rule(names, self._preference_of(names))
        except ImportError as error:
            raise MissingDependencyError(
                f"{type(self).__name__} needs a solver ({error}). Install all solvers with "
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
        # The rule is created again; its state is in the memory of the weighting.
        return self.__dict__ | {"_rule": None}


def terms_like(terms: Mapping[str, Tensor]) -> Tensor:
    """Return any term, as the reference for the dtype and device of the weights."""
    return next(iter(terms.values()))
