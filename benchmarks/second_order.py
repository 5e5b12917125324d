"""Train a PINN on a problem with a known solution by one method, for a given processor time.

``python -m benchmarks.second_order burgers ssbroyden --seconds 60 --seeds 3`` prints a line of JSON
for each seed, and a summary. In float64, on one thread; each seed has a process of its own. Looks
at the error take no part of the time. ``--table FILE`` makes a table and a picture of saved lines.

Methods with a memory see the same points for some steps, because their line searches and their
approximations of the Hessian need one objective; see ``METHODS``. ``adam+METHOD`` takes some steps
of Adam first, as many as the problem says.

Some problems are solved in windows of time, with a network and an equal share of the time for each.
Only the error at the end counts for them.
"""

from __future__ import annotations

import argparse
import json
import resource
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import torch
from torch import nn

from benchmarks.pinn_problems import SETUPS, Setup
from benchmarks.second_order_table import draw, summary, table
from perceptrain import Callback, TrainConfig, Trainer
from perceptrain.errors import NonFiniteLossError
from perceptrain_physics import Problem

#: Looks at the error, and steps in an epoch.
LOOKS, EPOCH = 30, 100


class Method(NamedTuple):
    """An optimizer as a run file names it, and the steps for which points stay the same."""

    optimizer: dict[str, Any]
    every: int = 1


ADAM = {"name": "adam", "lr": 1e-3}
#: The iterations in a step of L-BFGS and SSBroyden; new points come every 500 iterations.
INNER = 20
METHODS = {
    "adam": Method(ADAM),
    "soap": Method({"name": "soap", "lr": 3e-3, "weight_decay": 0.0}),
    "lbfgs": Method(
        {
            "name": "lbfgs",
            "line_search_fn": "strong_wolfe",
            "max_iter": INNER,
            "history_size": 50,
            "tolerance_grad": 0.0,
            "tolerance_change": 0.0,
        },
        500 // INNER,
    ),
    "ssbroyden": Method({"name": "ssbroyden", "max_iter": INNER}, 500 // INNER),
    "gauss_newton": Method({"name": "gauss_newton"}, 10),
}


def method_of(name: str, setup: Setup) -> Method:
    """Return the method for a problem; ``adam+NAME`` starts with the problem's steps of Adam."""
    first, _, then = name.rpartition("+")
    method = METHODS[then]
    if not first:
        return method
    optimizers, milestones = [ADAM, method.optimizer], [setup.warm_up // EPOCH]
    stages = {"name": "sequential", "optimizers": optimizers, "milestones": milestones}
    return Method(stages, method.every)


class Clock(Callback):
    """Stop the run after a processor time, and look at the error at times between.

    Args:
        setup: The problem.
        seconds: The processor time of the training, without that of the looks.

    Attributes:
        curve: Seconds and error of each look.
        spent: The processor time of the training so far.
    """

    def __init__(self, setup: Setup, seconds: float) -> None:
        super().__init__("train_batch_end")
        self.problem = setup.problem
        self.seconds = seconds
        self.curve: list[tuple[float, float]] = []
        self.spent = 0.0
        self._times = [seconds * 0.01 ** (1 - look / LOOKS) for look in range(LOOKS)]
        self._looked = 0.0
        self._start = 0.0

    def begin_run(self, trainer: Any, resumed: bool) -> None:
        """Start the clock."""
        self._start = process_time()

    def run_callback(self, trainer: Any, config: TrainConfig, writer: Any) -> None:
        """Look at the error if it is time, and stop at the end."""
        now = process_time()
        self.spent = now - self._start - self._looked
        if self._times and self.spent >= self._times[0]:
            self._times = [time for time in self._times if time > self.spent]
            self.curve.append((round(self.spent, 2), self.problem.relative_l2(trainer.model)))
            self._looked += process_time() - now
        trainer.stop_training = self.spent >= self.seconds


class Part(NamedTuple):
    """A network that was trained, for the whole time of a problem or a window of it."""

    model: nn.Module
    clock: Clock
    iterations: int
    failure: str | None


def train_part(setup: Setup, method_name: str, seconds: float) -> Part:
    """Train one network, and keep what came of it if the loss is not finite."""
    method = method_of(method_name, setup)
    model = setup.problem.pinn(hidden=setup.hidden)
    clock = Clock(setup, seconds)
    setup.problem.relative_l2(model)  # computes the reference
    config = TrainConfig(max_iter=10**9, verbose=False, callbacks=[clock], tracking_tool="none")
    trainer = Trainer(model, method.optimizer, config, loss_fn=setup.loss)
    failure = None
    try:
        trainer.fit(setup.data(model, method.every, EPOCH))
    except NonFiniteLossError as error:
        failure = str(error)
    warm_up = setup.warm_up if method_name.startswith("adam+") else 0
    return Part(model, clock, _iterations(trainer, warm_up), failure)


def train(
    name: str, method_name: str, seconds: float, seed: int, weighting: str | None = None
) -> dict[str, Any]:
    """Train the model of a problem in this process; return its errors and what it took.

    Args:
        name: The problem.
        method_name: The method.
        seconds: The processor time.
        seed: Seed of the initial weights and the points.
        weighting: A weighting of the terms, instead of the problem's own weights: a name, or in
            JSON an object with a name and options.
    """
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(seed)
    given = json.loads(weighting) if weighting and weighting[0] == "{" else weighting
    setup = replace(SETUPS[name](), weighting=given)
    parts: list[Part] = []

    def solve_part(problem: Problem) -> nn.Module:
        share = seconds / setup.windows
        parts.append(train_part(replace(setup, problem=problem), method_name, share))
        return parts[-1].model

    model = setup.solve(solve_part)
    errors = setup.problem.errors(model)
    spent = sum(part.clock.spent for part in parts)
    looks = parts[0].clock.curve if setup.windows == 1 else []
    curve = [*looks, (round(spent, 2), errors["relative_l2"])]
    return {
        "problem": name,
        "method": method_name if weighting is None else f"{method_name}, {weighting}",
        "seed": seed,
        "error": errors.pop("relative_l2"),
        "best": min(error for _, error in curve),
        **errors,
        "seconds": round(spent, 1),
        "iterations": sum(part.iterations for part in parts),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "failure": next((part.failure for part in parts if part.failure), None),
        "curve": curve,
    }


def _iterations(trainer: Any, warm_up: int) -> int:
    """Return the iterations, where a step of L-BFGS or SSBroyden has several: they count them."""
    names = ("n_iter", "iterations")
    states = trainer.optimizer.state.values()
    counted = max((int(state.get(name, 0)) for state in states for name in names), default=0)
    return warm_up + counted if counted else trainer.global_step


def run(
    name: str, method: str, seconds: float, seeds: int, weighting: str | None = None
) -> list[dict[str, Any]]:
    """Train with each seed, in a process of its own, and print a line for each."""
    rows = []
    for seed in range(seeds):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            rows.append(pool.submit(train, name, method, seconds, seed, weighting).result())
        print(json.dumps(rows[-1]), flush=True)
    return rows


def read(path: Path) -> list[dict[str, Any]]:
    """Read the lines of JSON in a file, which may have other lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def known_method(name: str) -> str:
    """Check the name of a method."""
    first, plus, then = name.rpartition("+")
    if then in METHODS and (first, plus) in {("", ""), ("adam", "+")} and name != "adam+adam":
        return name
    raise argparse.ArgumentTypeError(
        f"{name!r}: expected {', '.join(METHODS)}, or adam+NAME, such as adam+ssbroyden"
    )


def main() -> None:
    """Parse the command line; train, or write the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.second_order", description=__doc__)
    parser.add_argument("problem", nargs="?", choices=SETUPS)
    parser.add_argument("method", nargs="?", type=known_method)
    parser.add_argument("--seconds", type=float, default=60.0, help="processor time of each run")
    parser.add_argument("--seeds", type=int, default=1, help="seeds 0, 1, ...")
    parser.add_argument(
        "--weighting", metavar="NAME", help="of the terms: a name, or JSON with options"
    )
    parser.add_argument("--table", type=Path, metavar="FILE", help="print a table of saved lines")
    parser.add_argument("--picture", type=Path, help="with --table: draw the errors over time")
    options = parser.parse_args()
    if options.table is not None:
        rows = read(options.table)
        print(table(rows))
        if options.picture is not None:
            draw(rows, options.picture)
    elif options.problem is None or options.method is None:
        parser.error("expected PROBLEM METHOD, or --table FILE")
    else:
        given = options.problem, options.method, options.seconds, options.seeds
        rows = run(*given, options.weighting)
        print(summary(rows))


if __name__ == "__main__":
    main()
