"""The works: a network, its batches, and a loss as a person writes it in PyTorch alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from typing import Any

import torch
from torch import Tensor, nn

#: ``f(points, network)``, as in `perceptrain.PINN`.
Residual = Callable[[Tensor, Any], Tensor]


@dataclass(frozen=True)
class Work:
    """What every loop trains, with Adam at 1e-3 in float32.

    Args:
        title: What it is, in a line.
        layers: Widths of the network.
        batches: The batches of an epoch: ``(inputs, labels)``, or points by condition.
        activation: The activation of the hidden layers.
        criterion: For batches with labels: the loss of outputs and labels, with its name in
            Perceptrain.
        residuals: For points: the residual of each condition, which the loss squares and averages.
    """

    title: str
    layers: list[int]
    batches: list[Any]
    activation: type[nn.Module] = nn.Tanh
    criterion: tuple[str, Callable[[Tensor, Tensor], Tensor]] | None = None
    residuals: dict[str, Residual] | None = None

    def network(self) -> nn.Sequential:
        """Return the network; its weights are the same at each call."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            modules: list[nn.Module] = []
            for inputs, outputs in zip(self.layers, self.layers[1:], strict=False):
                modules += [nn.Linear(inputs, outputs), self.activation()]
            return nn.Sequential(*modules[:-1])

    def loss(self, batch: Any, network: Any) -> Tensor:
        """Return the loss of a batch."""
        if self.criterion is not None:
            inputs, labels = batch
            return self.criterion[1](network(inputs), labels)
        assert self.residuals is not None
        losses = [f(batch[name], network).square().mean() for name, f in self.residuals.items()]
        return sum(losses[1:], losses[0])

    def prepared(self) -> list[Any]:
        """Return the batches for a loop by hand, which makes its points ready only once."""
        if self.residuals is None:
            return self.batches
        return [{n: x.clone().requires_grad_() for n, x in b.items()} for b in self.batches]


def classes(width: int = 256, batch_size: int = 128, steps: int = 50) -> Work:
    """A classifier of 64 features, ten classes."""
    torch.manual_seed(1)
    batches = [
        (torch.randn(batch_size, 64), torch.randint(10, (batch_size,))) for _ in range(steps)
    ]
    layers = [64, width, width, 10]
    title = f"64-{width}-{width}-10, batch {batch_size}, cross_entropy"
    criterion = "cross_entropy", nn.functional.cross_entropy
    return Work(title, layers, batches, nn.ReLU, criterion)


def regression(batch_size: int = 32, steps: int = 50) -> Work:
    """A regression that is so small that the loop costs more than the arithmetic."""
    torch.manual_seed(1)
    batches = [(torch.randn(batch_size, 2), torch.randn(batch_size, 1)) for _ in range(steps)]
    title = f"2-16-16-1, batch {batch_size}, mse"
    return Work(title, [2, 16, 16, 1], batches, nn.ReLU, ("mse", nn.functional.mse_loss))


def oscillator(terms: int = 3, steps: int = 20) -> Work:
    """``u'' + u = 0`` with two initial conditions; further terms are equations on more points."""
    torch.manual_seed(1)

    def derivative(t: Tensor, u: Tensor) -> Tensor:
        return torch.autograd.grad(u.sum(), t, create_graph=True)[0]

    def equation(t: Tensor, net: Any) -> Tensor:
        u: Tensor = net(t)
        return derivative(t, derivative(t, u)) + u

    def value(t: Tensor, net: Any) -> Tensor:
        u: Tensor = net(t)
        return u - 1

    def slope(t: Tensor, net: Any) -> Tensor:
        return derivative(t, net(t))

    more = [f"ode{number}" for number in range(3, terms)]
    residuals: dict[str, Residual]
    residuals = {"ode": equation, "value": value, "slope": slope} | dict.fromkeys(more, equation)
    residuals = {name: residuals[name] for name in list(residuals)[:terms]}
    sizes = {"value": 1, "slope": 1}
    points = {name: torch.rand(sizes.get(name, 128), 1) for name in residuals}
    points |= {name: torch.zeros(1, 1) for name in sizes if name in points}
    title = f"PINN 1-20-20-1, u'' + u = 0, 128 points, {terms} terms"
    return Work(title, [1, 20, 20, 1], [points] * steps, residuals=residuals)


def helmholtz(inside: int, boundary: int, steps: int = 10) -> Work:
    """The problem of the annealing paper (arXiv 2001.04536)."""
    torch.manual_seed(1)

    def equation(points: Tensor, net: Any) -> Tensor:
        u: Tensor = net(points)
        (du,) = torch.autograd.grad(u.sum(), points, create_graph=True)
        (uxx,) = torch.autograd.grad(du[:, 0].sum(), points, create_graph=True)
        (uyy,) = torch.autograd.grad(du[:, 1].sum(), points, create_graph=True)
        exact = (pi * points[:, :1]).sin() * (4 * pi * points[:, 1:]).sin()
        return uxx[:, :1] + uyy[:, 1:] + u - (1 - 17 * pi**2) * exact

    def zero(points: Tensor, net: Any) -> Tensor:
        u: Tensor = net(points)
        return u

    sides = 2 * torch.rand(boundary, 2) - 1
    rows = torch.arange(boundary)
    sides[rows, rows % 2] = (rows // 2 % 2 * 2 - 1).float()
    points = {"pde": 2 * torch.rand(inside, 2) - 1, "boundary": sides}
    title = f"Helmholtz 2-50-50-50-1, {inside:,} + {boundary:,} points"
    residuals: dict[str, Residual] = {"pde": equation, "boundary": zero}
    return Work(title, [2, 50, 50, 50, 1], [points] * steps, residuals=residuals)


#: The works of the main table.
WORKS: dict[str, Callable[[], Work]] = {
    "A": regression,
    "B": classes,
    "C": oscillator,
    "D": lambda: helmholtz(128, 512),
    "E": lambda: helmholtz(1000, 400),
}
