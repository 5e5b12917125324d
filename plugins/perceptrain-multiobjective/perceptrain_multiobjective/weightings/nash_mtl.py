"""Terms that bargain for a direction."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor
from torchjd.aggregation import NashMTL as Aggregator

from perceptrain.errors import ConfigError
from perceptrain_multiobjective.aggregated import Aggregated, Rule


class NashMTL(Aggregated):
    """Nash-MTL: the direction that is the solution of a bargaining game of the terms.

    A. Navon et al., "Multi-Task Learning as a Bargaining Game", ICML 2022, arXiv 2202.01017: with
    the Gramian ``G`` of the gradients, ``G w = 1 / w``. Each solution starts from the one before,
    which checkpoints keep. While a term has no gradient the weights stay. It needs a solver, which
    takes milliseconds a step: hence ``every``.

    Args:
        max_norm: The weights are scaled down so that the weighted gradient is no longer than this;
            0 leaves it.
        optim_niter: The largest number of steps of the solver.
        every: The steps from one change to the next; the first step is one.

    Raises:
        ConfigError: An argument cannot be.
        MissingDependencyError: At the first update, if the solver is not installed.
    """

    takes_matrix = True

    def __init__(self, max_norm: float = 1.0, *, optim_niter: int = 20, every: int = 1) -> None:
        super().__init__(every)
        if not max_norm >= 0 or not optim_niter >= 1:
            raise ConfigError(
                f"max_norm={max_norm!r}, optim_niter={optim_niter!r}: expected a number of at "
                "least 0, and a whole number above 0."
            )
        self.max_norm = max_norm
        self.optim_niter = optim_niter

    def make_rule(self, names: Sequence[str], preference: Tensor | None) -> Rule:
        """Make the rule of torchjd, which goes on from the solution in memory."""
        rule = Aggregator(len(names), self.max_norm, optim_niter=self.optim_niter).weighting

        def solve(matrix: Tensor) -> Tensor:
            if not bool(matrix.abs().amax(dim=1).all()):  # who has nothing cannot bargain
                return torch.full((len(names),), torch.nan)
            before = self.memory.get("solution", {})
            start = [before.get(name, 1.0) for name in names]
            rule.prvs_alpha = torch.tensor(start, dtype=torch.float64).numpy()
            with warnings.catch_warnings():
                # cvxpy's advice to whoever writes the problem, and chooses the solver.
                warnings.filterwarnings("ignore", "You are solving a parameterized problem")
                warnings.filterwarnings("ignore", "Solution may be inaccurate")
                weights: Tensor = rule(matrix)
            self.memory["solution"] = dict(zip(names, map(float, rule.prvs_alpha), strict=True))
            return weights

        return solve
