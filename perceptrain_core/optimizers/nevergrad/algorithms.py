"""The most common algorithms of nevergrad, as optimizers with names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor

from perceptrain_core.optimizers.nevergrad.optimizer import NevergradOptimizer


def _optimizer(algorithm: str, summary: str) -> Callable[..., NevergradOptimizer]:
    def make(
        params: Iterable[Tensor],
        budget: int | None = None,
        seed: int | None = None,
        sigma: float | None = None,
        bounds: tuple[float, float] | None = None,
        num_workers: int = 1,
    ) -> NevergradOptimizer:
        return NevergradOptimizer(params, algorithm, budget, seed, sigma, bounds, num_workers)

    make.__doc__ = f"{summary}: `NevergradOptimizer` with the algorithm {algorithm!r}."
    return make


ngopt = _optimizer("NGOpt", "The algorithm that nevergrad chooses for the size, budget and workers")
cma = _optimizer("CMA", "Covariance matrix adaptation, for up to a few hundred parameters")
de = _optimizer("DE", "Differential evolution")
one_plus_one = _optimizer("OnePlusOne", "One parent and one child at a time, for small budgets")
pso = _optimizer("PSO", "Particle swarm optimization")
tbpsa = _optimizer("TBPSA", "Evolution strategy with population control, for noisy losses")
