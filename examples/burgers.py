"""Solve Burgers' equation, whose solution steepens to a shock, to an error of about 1e-5."""

import matplotlib.pyplot as plt
import torch
from matplotlib.colors import LogNorm

from perceptrain import TrainConfig, Trainer
from perceptrain_physics import AdaptiveSampler, FreshPoints, PeriodicBurgers


def main(epochs: int = 40, number: int = 2500, picture: str = "burgers.png") -> None:
    """Train by Gauss-Newton steps. Draw the solution and its error."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)

    # u_t + u u_x = 0.01/pi u_xx. "hard": any network has the right initial value and period.
    problem = PeriodicBurgers(hard=True)
    model = problem.pinn(hidden=[20, 20, 20])

    # Every 10 steps there are new points, most of them where the residual is large.
    sampler = AdaptiveSampler(problem.samplers["pde"], model, "pde")
    points = FreshPoints({"pde": sampler}, points=number, steps=10, every=10)

    # A second-order optimizer needs numbers of double precision.
    config = TrainConfig(max_iter=epochs, dtype=torch.float64, verbose=False)
    Trainer(model, "gauss_newton", config).fit(points)
    print(f"relative L2 error: {problem.relative_l2(model):.1e}")

    grid = problem.box.grid(200)  # t from 0 to 1, x from -1 to 1
    with torch.no_grad():
        u = model.nn(grid)
    error = (u - problem.exact(grid)).abs().clamp(1e-8)
    figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True)
    extent = {"extent": (0, 1, -1, 1), "aspect": "auto", "origin": "lower"}
    shown = left.imshow(u.reshape(200, 200).T.numpy(), cmap="RdBu_r", **extent)
    figure.colorbar(shown, ax=left, label="u")
    colours = LogNorm(1e-7, 1e-3)
    shown = right.imshow(error.reshape(200, 200).T.numpy(), norm=colours, **extent)
    figure.colorbar(shown, ax=right, label="absolute error of u")
    left.set(title="solution u", xlabel="time t", ylabel="position x")
    right.set(title="error |u - exact|", xlabel="time t")
    for axes in (left, right):
        axes.grid(False)
    figure.savefig(picture)


if __name__ == "__main__":
    main()
