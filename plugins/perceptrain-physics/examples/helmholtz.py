"""Solve the Helmholtz problem of arXiv 2001.04536 in under a minute on one core, and plot it.

``u_xx + u_yy + u = q`` on a square, with four waves in y and one in x. Without a weighting of the
terms, the residual dominates and training neglects the boundary.
"""

from __future__ import annotations

from pathlib import Path
from time import process_time

import torch
from matplotlib import style
from matplotlib.figure import Figure
from torch import Tensor

from perceptrain import PINN, TrainConfig, Trainer
from perceptrain_physics import Helmholtz, RelativeL2

PICTURE = Path("helmholtz.png")


def solve(steps: int) -> tuple[Helmholtz, PINN, list[dict[str, float]]]:
    """Train a network. Return the problem, the trained model and the history."""
    torch.manual_seed(0)
    problem = Helmholtz()
    model = problem.pinn("modified_mlp", hidden=[40, 40, 40])
    config = TrainConfig(
        max_iter=20,
        print_every=2,
        lr_scheduler={"name": "one_cycle", "max_lr": 5e-3},
        callbacks=[RelativeL2(problem)],
    )
    loss_fn = {"name": "grad_weighted", "fixed_metric": "pde"}
    trainer = Trainer(model, "adam", config, loss_fn=loss_fn)
    trainer.fit(problem.loader(points={"pde": 256, "boundary": 32}, steps=steps // 20))
    return problem, model, trainer.history


@style.context("perceptrain_core.pictures")
def draw(problem: Helmholtz, model: PINN, path: Path) -> None:
    """Plot the exact solution, the network's solution and the error."""
    n = 101
    grid = problem.box.grid(n)
    with torch.no_grad():
        predicted = model.nn(grid.float()).double().reshape(n, n)
    exact = problem.exact(grid).reshape(n, n)
    figure = Figure(figsize=(11, 3.3))
    panels: list[tuple[str, Tensor, str]] = [
        ("exact solution", exact, "RdBu_r"),
        ("network", predicted, "RdBu_r"),
        ("error", (predicted - exact).abs(), "viridis"),
    ]
    for axes, (title, values, cmap) in zip(figure.subplots(1, 3), panels, strict=True):
        image = axes.imshow(values.T.numpy(), extent=(-1, 1, -1, 1), origin="lower", cmap=cmap)
        axes.set(title=title, xlabel="x", ylabel="y")
        axes.grid(False)
        figure.colorbar(image, ax=axes, fraction=0.046, pad=0.04)
    figure.savefig(path)


def main(steps: int = 3000, picture: Path = PICTURE) -> float:
    """Solve and plot the problem. Return the relative L2 error."""
    start = process_time()
    problem, model, history = solve(steps)
    draw(problem, model, picture)
    error = history[-1]["relative_l2"]
    print(f"relative L2 error {error:.2e} after {process_time() - start:.0f} s; see {picture}")
    return error


if __name__ == "__main__":
    torch.set_num_threads(1)  # a second thread slows down a network this small
    main()
