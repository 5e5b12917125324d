"""The algorithms of nevergrad that people use most, each by a name of its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from torch import Tensor

from perceptrain_core.optimizers.nevergrad.optimizer import NevergradOptimizer


class _Algorithm(Protocol):
    def __call__(
        self,
        params: Iterable[Tensor],
        budget: int | None = None,
        seed: int | None = None,
        sigma: float | None = None,
        bounds: tuple[float, float] | None = None,
        num_workers: int = 1,
    ) -> NevergradOptimizer: ...


def _named(algorithm: str, what: str) -> _Algorithm:
    def make(
        params: Iterable[Tensor],
        budget: int | None = None,
        seed: int | None = None,
        sigma: float | None = None,
        bounds: tuple[float, float] | None = None,
        num_workers: int = 1,
    ) -> NevergradOptimizer:
        return NevergradOptimizer(params, algorithm, budget, seed, sigma, bounds, num_workers)

    make.__doc__ = f"{what}: `NevergradOptimizer` with the algorithm {algorithm!r}."
    return make


ngopt = _named("NGOpt", "What nevergrad chooses for the size, the budget and the workers")
cma = _named("CMA", "Covariance matrix adaptation, for up to some hundred parameters")
de = _named("DE", "Differential evolution")
one_plus_one = _named("OnePlusOne", "One parent and one child at a time, for a small budget")
pso = _named("PSO", "Particle swarm")
tbpsa = _named("TBPSA", "Population control, for losses with noise")
