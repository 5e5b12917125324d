"""Measure the cost of a step that weights the terms of a loss by their gradients.

The network is that of the annealing paper, 2-50-50-50-1 with tanh in float32, with 128 points per
term; the terms are labelled values, or residuals of second order. Plain steps minimize the sum of
the terms; weighted steps update the weights at every step, or never. They alternate in one process,
so that a machine that slows down affects all of them. The figures are lower quartiles of the
processor time, and their ratios. Takes about a minute on a quiet machine.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from statistics import quantiles
from time import thread_time
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain import FFNN, WeightedLoss, default_optimize_step
from perceptrain_core.weightings.grad_weighted import GradWeighted

POINTS = 128
Loss = Callable[[Any, nn.Module], tuple[Tensor, dict[str, Tensor]]]


def labelled(points: dict[str, Tensor], model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    terms = {name: (model(x) - x[:, :1]).square().mean() for name, x in points.items()}
    return sum(terms.values(), torch.zeros(())), terms


def residuals(points: dict[str, Tensor], model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    terms = {}
    for name, x in points.items():
        x = x.detach().requires_grad_()
        u = model(x)
        (du,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        uxx = torch.autograd.grad(du[:, 0].sum(), x, create_graph=True)[0][:, 0]
        uyy = torch.autograd.grad(du[:, 1].sum(), x, create_graph=True)[0][:, 1]
        terms[name] = (uxx + uyy + u[:, 0]).square().mean()
    return sum(terms.values(), torch.zeros(())), terms


def stepper(loss_fn: Any, points: dict[str, Tensor]) -> Callable[[int], float]:
    torch.manual_seed(0)
    model = FFNN([2, 50, 50, 50, 1], nn.Tanh())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def run(steps: int) -> float:
        start = thread_time()
        for _ in range(steps):
            default_optimize_step(model, optimizer, loss_fn, points)
        return thread_time() - start

    return run


def measure(loss: Loss, terms: int, steps: int, turns: int) -> dict[str, float]:
    torch.manual_seed(1)
    points = {f"t{number}": torch.rand(POINTS, 2) for number in range(terms)}

    def weighted(every: int) -> Callable[[int], float]:
        return stepper(WeightedLoss(loss, GradWeighted("t0", every=every)), points)

    runs = {"plain": stepper(loss, points), "update": weighted(1), "no update": weighted(10**9)}
    for run in runs.values():
        run(5)
    times = [{name: run(steps) for name, run in runs.items()} for _ in range(turns)]
    best = {name: quantiles(t[name] for t in times)[0] for name in runs}
    ratios = {name: best[name] / best["plain"] for name in ("update", "no update")}
    return {"plain us": 1e6 * best["plain"] / steps, **ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        {
            "loss": loss.__name__,
            "terms": n,
            **measure(loss, n, options.steps, options.turns),
        }
        for loss in (labelled, residuals)
        for n in (2, 4, 8)
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'loss':<12}{'terms':>6}{'plain step':>14}{'update':>10}{'no update':>12}")
    for row in rows:
        print(
            f"{row['loss']:<12}{row['terms']:>6}{row['plain us']:>11.0f} us"
            f"{row['update']:>10.3f}{row['no update']:>12.3f}"
        )


if __name__ == "__main__":
    main()
