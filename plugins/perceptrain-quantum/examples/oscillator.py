"""A circuit that learns a damped oscillation twice: from noisy labels, and from its equation alone.

The equation is u'' + 2 d u' + w^2 u = 0 with u(0) = 1 and u'(0) = 0: a differentiable quantum
circuit (arXiv 2011.10395), whose second derivatives are exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from perceptrain import PINN, TrainConfig, Trainer, get_model

PICTURE = Path("oscillator.png")
DAMPING, FREQUENCY = 1.0, 10.0
NOISE = 0.05
DENSE = torch.linspace(0, 1, 200, dtype=torch.float64).unsqueeze(1)

Batch = tuple[Tensor, Tensor] | dict[str, Tensor]


@dataclass
class Found:
    """Relative L2 errors, of the circuit that saw labels and of the one that saw the equation."""

    fitted: float
    solved: float


def solution(x: Tensor) -> Tensor:
    """Give the exact solution."""
    w = math.sqrt(FREQUENCY**2 - DAMPING**2)
    return torch.exp(-DAMPING * x) * (torch.cos(w * x) + DAMPING / w * torch.sin(w * x))


def circuit() -> nn.Module:
    """Make a circuit of four qubits; its features go from a little below 0 to a little above 1."""
    return get_model("qnn", n_qubits=4, feature_range=(-0.05, 1.05), trainable_scaling=True)


def derivatives(points: Tensor, network: nn.Module) -> tuple[Tensor, Tensor, Tensor]:
    """Give u, u' and u''."""
    u = network(points)
    (first,) = torch.autograd.grad(u.sum(), points, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), points, create_graph=True)
    return u, first, second


def equation(points: Tensor, network: nn.Module) -> Tensor:
    """Give the residual of the equation, in units of its largest term."""
    u, first, second = derivatives(points, network)
    return (second + 2 * DAMPING * first + FREQUENCY**2 * u) / FREQUENCY**2


def start(points: Tensor, network: nn.Module) -> Tensor:
    """Give what is wrong with the value at the start."""
    return network(points) - 1


def slope(points: Tensor, network: nn.Module) -> Tensor:
    """Give what is wrong with the slope at the start."""
    return derivatives(points, network)[1] / FREQUENCY


def train(model: nn.Module, batch: Batch, epochs: int) -> None:
    """Train a model on one batch."""
    config = TrainConfig(max_iter=epochs, print_every=max(1, epochs // 4))
    Trainer(model, {"name": "adam", "lr": 0.1}, config, loss_fn="mse").fit([batch])


def error(network: nn.Module) -> float:
    """Give the relative L2 error of a network."""
    with torch.no_grad():
        truth = solution(DENSE)
        return ((network(DENSE) - truth).norm() / truth.norm()).item()


def draw(networks: dict[str, nn.Module], x: Tensor, y: Tensor, path: Path) -> None:
    """Draw what the circuits give, and how far that is from the exact solution."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(DENSE, solution(DENSE), color="black", linewidth=4, alpha=0.25, label="exact")
    left.plot(x, y, ".", color="gray", label="noisy labels")
    for name, network in networks.items():
        values = network(DENSE).detach()
        left.plot(DENSE, values, label=name)
        right.semilogy(DENSE, (values - solution(DENSE)).abs(), label=name)
    left.set(xlabel="x", ylabel="u", title="u'' + 2 d u' + w² u = 0")
    right.set(xlabel="x", title="distance from the exact solution")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    figure.savefig(path, dpi=110)


def main(epochs: int = 250, picture: Path = PICTURE) -> Found:
    """Train both circuits, and draw them."""
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
    found = Found(error(fitted), error(solver))
    print(f"relative L2 error: fitted {found.fitted:.3f}, solved {found.solved:.4f}; see {picture}")
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)  # the states are small: more threads would wait for each other
    main()
