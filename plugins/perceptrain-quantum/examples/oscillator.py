"""Fit a quantum circuit to a damped oscillation: to noisy labels, and to the equation alone.

The equation is u'' + 2 d u' + w^2 u = 0 with u(0) = 1 and u'(0) = 0. The model is a differentiable
quantum circuit (arXiv 2011.10395), whose second derivatives are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from matplotlib import style
from matplotlib.figure import Figure
from torch import Tensor, nn

from perceptrain import PINN, TrainConfig, Trainer, get_model

PICTURE = Path("oscillator.png")
DAMPING, FREQUENCY = 1.0, 10.0
NOISE = 0.05
DENSE = torch.linspace(0, 1, 200, dtype=torch.float64).unsqueeze(1)

Batch = tuple[Tensor, Tensor] | dict[str, Tensor]


@dataclass
class Errors:
    """Relative L2 errors of the fit to the labels and of the solution of the equation."""

    fitted: float
    solved: float


def solution(x: Tensor) -> Tensor:
    """Return the exact solution."""
    w = math.sqrt(FREQUENCY**2 - DAMPING**2)
    return torch.exp(-DAMPING * x) * (torch.cos(w * x) + DAMPING / w * torch.sin(w * x))


def circuit() -> nn.Module:
    """Build a circuit of four qubits whose feature range is slightly larger than [0, 1]."""
    return get_model("qnn", n_qubits=4, feature_range=(-0.05, 1.05), trainable_scaling=True)


def derivatives(points: Tensor, network: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """Return u, u' and u''."""
    u = network(points)
    (first,) = torch.autograd.grad(u.sum(), points, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), points, create_graph=True)
    return u, first, second


def equation(points: Tensor, network: nn.Module) -> Tensor:
    """Return the residual of the equation, scaled by its largest coefficient."""
    u, first, second = derivatives(points, network)
    return (second + 2 * DAMPING * first + FREQUENCY**2 * u) / FREQUENCY**2


def start(points: Tensor, network: nn.Module) -> Tensor:
    """Return the residual of the initial value."""
    return network(points) - 1


def slope(points: Tensor, network: nn.Module) -> Tensor:
    """Return the residual of the initial slope, scaled by the frequency."""
    return derivatives(points, network)[1] / FREQUENCY


def train(model: nn.Module, batch: Batch, epochs: int) -> None:
    """Train a model on one batch."""
    config = TrainConfig(max_iter=epochs, print_every=max(1, epochs // 4))
    Trainer(model, {"name": "adam", "lr": 0.1}, config, loss_fn="mse").fit([batch])


def error(network: nn.Module) -> float:
    """Return the relative L2 error of a network."""
    with torch.no_grad():
        exact = solution(DENSE)
        return ((network(DENSE) - exact).norm() / exact.norm()).item()


@style.context("perceptrain_core.pictures")
def draw(networks: dict[str, nn.Module], x: Tensor, y: Tensor, path: Path) -> None:
    """Plot the outputs of the circuits and their error."""
    figure = Figure(figsize=(9, 3.9))
    left, right = figure.subplots(1, 2)
    left.plot(DENSE, solution(DENSE), color="C6", linewidth=4, alpha=0.4, label="exact")
    left.plot(x, y, ".", color="C6", label="noisy labels")
    for name, network in networks.items():
        values = network(DENSE).detach()
        left.plot(DENSE, values, label=name)
        right.semilogy(DENSE, (values - solution(DENSE)).abs(), label=name)
    left.set(xlabel="x", ylabel="u", title="u'' + 2 d u' + w² u = 0")
    right.set(xlabel="x", title="distance from the exact solution")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path)


def main(epochs: int = 250, picture: Path = PICTURE) -> Errors:
    """Train and plot both circuits. Return their errors."""
    torch.manual_seed(0)
    x = torch.linspace(0, 1, 40, dtype=torch.float64).unsqueeze(1)
    y = solution(x) + NOISE * torch.randn_like(x)
    zero = torch.zeros(1, 1, dtype=torch.float64)

    fitted = circuit()
    train(fitted, (x, y), epochs)
    solver = circuit()
    terms = {"equation": equation, "start": start, "slope": slope}
    train(PINN(solver, terms), {"equation": x, "start": zero, "slope": zero}, epochs)

    draw({"fitted to labels": fitted, "solved from the equation": solver}, x, y, picture)
    errors = Errors(error(fitted), error(solver))
    print(
        f"relative L2 error: fitted {errors.fitted:.3f}, solved {errors.solved:.4f}; see {picture}"
    )
    return errors


if __name__ == "__main__":
    torch.set_num_threads(1)  # more threads slow down such small states
    main()
