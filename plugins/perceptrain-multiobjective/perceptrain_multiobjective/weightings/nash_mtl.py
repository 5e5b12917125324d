"""Nash-MTL: a bargaining game between the terms."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torchjd.aggregation import NashMTL as Aggregator

from perceptrain.errors import ConfigError
from perceptrain_multiobjective.aggregated import Aggregated, Rule


class NashMTL(Aggregated):
    """Nash-MTL: the direction that solves a bargaining game between the terms.

    A. Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022, arXiv 2202.01017: solves
    ``G w = 1 / w`` for the Gramian ``G`` of the gradients. The solver starts from the previous
    solution, which is saved in checkpoints. The weights are left unchanged while a term has no
    gradient. Requires a solver, which takes milliseconds per step; consider ``every``.

    Args:
        max_norm: Upper bound for the norm of the weighted gradient, enforced by scaling down the
            weights; 0 disables it.
        optim_niter: Maximum number of solver iterations.
        every: Update the weights every this many steps, starting with the first.

    Raises:
        ConfigError: An argument is out of range.
        MissingDependencyError: The solver is not installed (raised at the first update).
    """

    takes_matrix = True

    def __init__(self, max_norm: float = 1.0, *, optim_niter: int = 20, every: int = 1) -> None:
        super().__init__(every)
        if not max_norm >= 0 or not optim_niter >= 1:
            raise ConfigError(
                f"max_norm={max_norm!r}, optim_niter={optim_niter!r}: expected a max_norm of at "
                "least 0 and a whole number of iterations above 0."
            )
        self.max_norm = max_norm
        self.optim_niter = optim_niter

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Return a torchjd rule that starts from the solution in ``memory``."""
        rule = Aggregator(len(names), self.max_norm, optim_niter=self.optim_niter).weighting

        def solve(matrix: Tensor) -> Tensor:
            if not bool(matrix.abs().amax(dim=1).all()):  # a zero gradient has no solution
                return torch.full((len(names),), torch.nan)
            previous = self.memory.get("solution", {})
            start = [previous.get(name, 1.0) for name in names]
            rule.prvs_alpha = torch.tensor(start, dtype=torch.float64).numpy()
            with warnings.catch_warnings():
                # Advice of cvxpy for the authors of the problem, not for its users.
                warnings.filterwarnings("ignore", "You are solving a parameterized problem")
                warnings.filterwarnings("ignore", "Solution may be inaccurate")
                weights: Tensor = rule(matrix)
            self.memory["solution"] = dict(zip(names, map(float, rule.prvs_alpha), strict=True))
            return weights

        return solve
