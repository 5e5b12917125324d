"""The second part of the demo: a differential equation with two competing loss terms.

The Helmholtz problem of arXiv 2001.04536 on a smaller scale: ``u_xx + u_yy + u = q`` on the square
``[-1, 1]^2`` with ``u = 0`` on its boundary, and ``q`` such that
``u = sin(pi x) sin(2 pi y)``. The residual is much larger than the boundary term, so a plain sum
of both hardly trains on the boundary. Annealed weights balance the two.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import pi, sqrt
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.config import TrainConfig
from perceptrain_core.models import FFNN, PINN
from perceptrain_core.training import Trainer

STEPS, POINTS = 3000, 128


class Points:
    """Fresh random points at every step: inside the square, and on its four sides."""

    infinite = True

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        sides = torch.arange(POINTS) % 4
        while True:
            inside = 2 * torch.rand(POINTS, 2) - 1
            boundary = 2 * torch.rand(POINTS, 2) - 1
            for side, (axis, value) in enumerate([(0, -1.0), (0, 1.0), (1, -1.0), (1, 1.0)]):
                boundary[sides == side, axis] = value
            yield {"pde": inside, "boundary": boundary}


class Standardized(nn.Module):
    """A network that scales its inputs to standard deviation 1, as in the paper."""

    def __init__(self) -> None:
        super().__init__()
        self.network = FFNN([2, 32, 32, 32, 1], nn.Tanh())
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_normal_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, points: Tensor) -> Tensor:
        """Return ``u`` of shape ``(N, 1)`` at points of shape ``(N, 2)`` in the square."""
        u: Tensor = self.network(sqrt(3) * points)
        return u


def exact(points: Tensor) -> Tensor:
    """Return the exact solution, of shape ``(N, 1)``."""
    return torch.sin(pi * points[:, :1]) * torch.sin(2 * pi * points[:, 1:])


def equation(points: Tensor, network: nn.Module) -> Tensor:
    """Return the residual of the equation."""
    u: Tensor = network(points)
    (gradient,) = torch.autograd.grad(u.sum(), points, create_graph=True)
    laplacian = torch.zeros_like(u)
    for axis in range(2):
        derivative = gradient[:, axis].sum()
        (second,) = torch.autograd.grad(derivative, points, create_graph=True)
        laplacian = laplacian + second[:, axis : axis + 1]
    q = (1 - 5 * pi**2) * exact(points)
    return laplacian + u - q


def boundary(points: Tensor, network: nn.Module) -> Tensor:
    """Return the residual of the boundary condition."""
    residual: Tensor = network(points)
    return residual


def solve(loss_fn: Any) -> tuple[Tensor, float, list[dict[str, float]], float]:
    """Train a network with a loss; the seed makes the network and the points always the same.

    Returns:
        The solution on a grid of shape ``(101, 101)``, its relative L2 error, the history, and
        the training time in seconds.
    """
    torch.manual_seed(0)
    model = PINN(Standardized(), {"pde": equation, "boundary": boundary})
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    config = TrainConfig(max_iter=STEPS, print_every=STEPS // 3)
    trainer = Trainer(model, optimizer, config, loss_fn=loss_fn)
    start = perf_counter()
    trainer.fit(Points())
    seconds = perf_counter() - start
    grid = _grid()
    with torch.no_grad():
        u = model.nn(grid)
    error = ((u - exact(grid)).norm() / exact(grid).norm()).item()
    return u.reshape(101, 101), error, trainer.history, seconds


def draw(
    solutions: dict[str, Tensor], histories: dict[str, list[dict[str, float]]], path: Path
) -> None:
    """Plot the solutions beside the exact one, their errors, and the terms over the steps."""
    from matplotlib import style

    with style.context("perceptrain_core.pictures"):
        _draw(solutions, histories, path)


def _draw(
    solutions: dict[str, Tensor], histories: dict[str, list[dict[str, float]]], path: Path
) -> None:
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    truth = exact(_grid()).reshape(101, 101)
    errors = {name: (u - truth).abs() for name, u in solutions.items()}
    largest = max(error.max().item() for error in errors.values())
    norm = LogNorm(largest / 1000, largest)  # smaller errors are all of one color
    figure = Figure(figsize=(4.2 * (1 + len(solutions)), 10.4), layout="constrained")
    axes = figure.subplots(3, 1 + len(solutions))
    _image(figure, axes[0, 0], truth, "exact solution", cmap="RdBu_r", vmin=-1, vmax=1)
    _draw_cut(axes[1, 0], truth, solutions)
    for column, (name, u) in enumerate(solutions.items(), start=1):
        title = f"solution with {name}"
        _image(figure, axes[0, column], u, title, cmap="RdBu_r", vmin=-1, vmax=1)
        _image(figure, axes[1, column], errors[name], f"error with {name}", norm=norm)
        for term in ("pde", "boundary"):
            values = [row[f"train_{term}"] for row in histories[name]]
            axes[2, column].semilogy(values, linewidth=0.6, label=term)
        axes[2, column].set(title=f"terms with {name}", xlabel="step")
        axes[2, column].legend()
    weights = [row["train_weight_boundary"] for row in histories["grad_weighted"]]
    axes[2, 0].plot(weights, linewidth=1)
    axes[2, 0].set(title="boundary weight of grad_weighted", xlabel="step")
    figure.savefig(path, dpi=110)


def _draw_cut(axes: Any, truth: Tensor, solutions: dict[str, Tensor]) -> None:
    """Plot the solutions along a line through their extremes."""
    row = int((_grid()[:101, 1] - 0.25).abs().argmin())
    x = _grid()[::101, 0].numpy()
    axes.plot(x, truth[:, row].numpy(), "k--", linewidth=1, label="exact")
    for name, u in solutions.items():
        axes.plot(x, u[:, row].numpy(), linewidth=1, label=name)
    axes.set(title="solutions at y = 0.25", xlabel="x", ylabel="u")
    axes.legend()


def _image(figure: Any, axes: Any, values: Tensor, title: str, **colors: Any) -> None:
    image = axes.imshow(values.T.numpy(), extent=(-1, 1, -1, 1), origin="lower", **colors)
    axes.set(title=title, xlabel="x", ylabel="y")
    axes.grid(visible=False)
    figure.colorbar(image, ax=axes, shrink=0.8)


def _grid() -> Tensor:
    line = torch.linspace(-1, 1, 101)
    return torch.cartesian_prod(line, line)
