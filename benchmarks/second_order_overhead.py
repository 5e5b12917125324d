"""Measure what the trainer adds to steps of second-order optimizers.

``python -m benchmarks.second_order_overhead poisson gauss_newton`` trains two models from the same
weights, one by `Trainer.fit` and one by a bare loop with the same Jacobian and the same solution of
the linear problem. They take turns in one process, on one thread, and turns are measured in
processor time. Prints a line of JSON: milliseconds per step, and the quartiles of the ratios of
turns that follow each other.

Repeat it: whether the memory allocator of a thread returns freed pages to the system, or keeps
them, differs from run to run, and changes either loop by up to a fifth.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from math import sqrt
from statistics import median, quantiles
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.pinn_problems import SETUPS, Setup
from benchmarks.turns import ENDLESS, Feed, Seat, take_turns
from perceptrain import TrainConfig, Trainer
from perceptrain.optimizers import SSBroyden
from perceptrain_core.least_squares.buffers import Buffers
from perceptrain_core.least_squares.columns import Columns
from perceptrain_core.least_squares.jacobian import fill_jacobian
from perceptrain_core.least_squares.linearized import DenseLinearized
from perceptrain_core.least_squares.traced_model import TracedModel

Points = dict[str, Tensor]


class LevenbergMarquardt:
    """The method "lm" of `GaussNewton`, for the sum of the mean squares of residuals.

    Args:
        model: Returns residuals by name.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.columns = Columns(model.parameters())
        self.traced = TracedModel(model, self.columns.parameters)
        self.buffers = Buffers()
        self.damping = self.least = 0.0

    def step(self, points: Points) -> None:
        """Take a step on some points."""
        parameters = [p.data for p in self.columns.parameters]
        start = self.columns.flat(parameters)
        at = self._linearized(points)
        if not self.damping:
            largest = at.largest_square()
            self.damping = 1e-3 * largest
            self.least = torch.finfo(start.dtype).eps ** 2 * largest
        damping, growth = self.damping, 2.0
        for _ in range(10):
            step = at.solve(at.residuals, damping)
            predicted = -1.0 if step is None else at.predicted_reduction(step)
            if step is not None and predicted > 0:
                torch._foreach_copy_(parameters, self.columns.split(start + step))
                gain = (at.value - self._value(points)) / predicted
                if gain > 0:
                    self.damping = max(damping * max(1 / 3, 1 - (2 * gain - 1) ** 3), self.least)
                    return
            damping, growth = damping * growth, growth * 2
        torch._foreach_copy_(parameters, self.columns.split(start))
        self.damping *= 10

    def _linearized(self, points: Points) -> DenseLinearized:
        self.traced.clear()
        with self.traced.active():
            values = [*self.model(points).values()]
        factors = [torch.full_like(v, 1 / sqrt(v.numel()), requires_grad=False) for v in values]
        pairs = [*zip(values, factors, strict=True)]
        residuals = torch.cat([(v * f).detach().view(-1) for v, f in pairs])
        shape = self.columns.number, len(residuals)
        jacobian = self.buffers.get("jacobian", shape, residuals).zero_().T
        blocks = jacobian.split([v.numel() for v in values])
        for block, pair in zip(blocks, pairs, strict=True):
            fill_jacobian(block, *pair, self.traced, self.columns, [])
        return DenseLinearized(residuals, jacobian, self.buffers)

    def _value(self, points: Points) -> float:
        return sum(float(v.detach().square().mean()) for v in self.model(points).values())


class QuasiNewton:
    """`SSBroyden` with a closure.

    Args:
        model: Returns residuals by name.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.optimizer = SSBroyden(model.parameters())

    def step(self, points: Points) -> None:
        """Take a step on some points."""

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            terms = self.model(points).values()
            loss = torch.stack([v.square().mean() for v in terms]).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss

        self.optimizer.step(closure)


#: The bare loop of each optimizer, and its steps in a turn.
HAND: dict[str, tuple[Callable[[nn.Module], Any], int]] = {
    "gauss_newton": (LevenbergMarquardt, 10),
    "ssbroyden": (QuasiNewton, 1),
}


def by_hand(make: Callable[[nn.Module], Any], model: nn.Module, feed: Feed) -> None:
    """Train by the bare loop."""
    method = make(model)
    for _ in range(ENDLESS):
        for points in feed:
            method.step(points)


def by_trainer(optimizer: str, model: nn.Module, feed: Feed) -> None:
    """Train by the trainer, whose epochs are the turns."""
    config = TrainConfig(max_iter=ENDLESS, verbose=False, tracking_tool="none")
    # The loop by hand does not accelerate.
    plain = {"acceleration": False} if optimizer == "gauss_newton" else {}
    Trainer(model, {"name": optimizer, **plain}, config, loss_fn="mse").fit(feed)


def points_of(setup: Setup) -> Points:
    """Return points that stay the same."""
    if setup.fixed is not None:
        return dict(setup.fixed)
    return {name: draw(setup.points[name]) for name, draw in setup.problem.samplers.items()}


def measure(name: str, optimizer: str, seconds: float) -> dict[str, Any]:
    """Return milliseconds per step of both, and the ratios of their turns.

    Args:
        name: The problem.
        optimizer: A key of `HAND`.
        seconds: The time for all turns.
    """
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    setup = SETUPS[name]()
    make, steps = HAND[optimizer]
    model, batches = setup.problem.pinn(hidden=setup.hidden), [points_of(setup)] * steps

    def taking_turns(loop: Callable[[nn.Module, Feed], None]) -> Callable[[Seat], None]:
        return lambda seat: loop(deepcopy(model), Feed(batches, seat.next_turn))

    loops = {
        "by hand": taking_turns(partial(by_hand, make)),
        "Trainer": taking_turns(partial(by_trainer, optimizer)),
    }
    hand, trainer = seats = take_turns(loops, seconds)
    for seat in seats:
        if seat.error is not None:
            raise seat.error
    ratios = [own / bare for own, bare in zip(trainer.seconds, hand.seconds, strict=True)]
    return {
        "problem": name,
        "optimizer": optimizer,
        "ms": {seat.name: round(1e3 * median(seat.seconds) / steps, 2) for seat in seats},
        "ratio": [round(quartile, 3) for quartile in quantiles(ratios)],
        "turns": len(ratios),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.second_order_overhead", description=__doc__
    )
    parser.add_argument("problem", choices=[name for name in SETUPS if not SETUPS[name]().weights])
    parser.add_argument("optimizer", choices=HAND)
    parser.add_argument("--seconds", type=float, default=20.0, help="the time for all turns")
    options = parser.parse_args()
    print(json.dumps(measure(options.problem, options.optimizer, options.seconds)))


if __name__ == "__main__":
    main()
