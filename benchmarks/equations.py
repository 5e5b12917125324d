"""Equations of the plugins: the problems of perceptrain-physics, and a circuit that solves one."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import torch
from torch import nn

from benchmarks.loops import HAND, PERCEPTRAIN, Loop
from benchmarks.works import Work, oscillator

PROBLEMS = "burgers", "heat", "klein_gordon", "oscillator", "poisson", "wave"
#: What is compared, with the loop by hand first.
LOOPS: dict[str, Loop] = {
    "by hand": HAND["by hand"],
    "Perceptrain": PERCEPTRAIN["Perceptrain"],
    "Perceptrain, compile=True": PERCEPTRAIN["Perceptrain, compile=True"],
}


class CircuitWork(Work):
    """A work for a circuit of two qubits, in float64."""

    def network(self) -> nn.Sequential:
        """Return the circuit; its angles are the same at each call."""
        from perceptrain import get_model

        with torch.random.fork_rng():
            torch.manual_seed(0)
            return nn.Sequential(get_model("qnn", n_qubits=2, depth=2))


def works() -> dict[str, Callable[[], Work]]:
    """Return what makes each work, by name, of the plugins that are installed."""
    found: dict[str, Callable[[], Work]] = {}
    if find_spec("perceptrain_physics") is not None:
        found |= {name: partial(problem, name) for name in PROBLEMS}
    if find_spec("perceptrain_quantum") is not None:
        found["circuit"] = circuit
    return found


def problem(name: str, steps: int = 10) -> Work:
    """A problem with the default number of points, and a small network."""
    from perceptrain_physics import get_problem

    torch.manual_seed(1)
    own = get_problem(name)
    points = next(iter(own.loader()))
    layers = [len(own.inputs), 20, 20, 1]
    number = sum(map(len, points.values()))
    title = f"PINN {'-'.join(map(str, layers))}, {number} points, {len(points)} terms"
    return Work(title, layers, [points] * steps, residuals=own.equations)


def circuit(steps: int = 10) -> Work:
    """The equation of C for a circuit."""
    work = oscillator(steps=1)
    points = {name: rows.double() for name, rows in work.batches[0].items()}
    title = "2 qubits of depth 2, the equation of C, float64"
    return CircuitWork(title, [], [points] * steps, residuals=work.residuals)
