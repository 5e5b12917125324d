"""Solve a differential equation with a network that knows the equation, and no labels."""

import matplotlib.pyplot as plt
import torch

from perceptrain import FFNN, PINN, TrainConfig, Trainer

DAMPING, FREQUENCY = 0.5, 3.0


def derivative(u, t):
    """Return du/dt, with the shape of t."""
    return torch.autograd.grad(u.sum(), t, create_graph=True)[0]


def equation(t, network):
    """u'' + 2 d u' + w^2 u = 0: each function returns what should be zero."""
    u = network(t)
    du = derivative(u, t)
    return derivative(du, t) + 2 * DAMPING * du + FREQUENCY**2 * u


def start(t, network):
    """u(0) = 1 and u'(0) = 0."""
    u = network(t)
    return torch.cat([u - 1, derivative(u, t)], dim=1)


def exact(t):
    """Return the exact solution, for comparison."""
    w = (FREQUENCY**2 - DAMPING**2) ** 0.5
    return (-DAMPING * t).exp() * ((w * t).cos() + DAMPING / w * (w * t).sin())


def main(epochs: int = 240, picture: str = "oscillator.png") -> None:
    """Train, and compare with the exact solution."""
    plt.style.use("perceptrain_core.pictures")
    torch.manual_seed(0)
    model = PINN(FFNN([1, 24, 1], "tanh"), {"equation": equation, "start": start})
    points = {"equation": torch.linspace(0, 4, 100)[:, None], "start": torch.zeros(1, 1)}
    # Adam starts. A second-order method goes on, with double precision.
    stages = [{"name": "adam", "lr": 1e-2}, "ssbroyden"]
    optimizer = {"name": "sequential", "optimizers": stages, "milestones": [200]}
    config = TrainConfig(max_iter=epochs, dtype=torch.float64, verbose=False)
    Trainer(model, optimizer, config).fit([points])

    t = torch.linspace(0, 4, 201).double()[:, None]
    u = model.nn(t).detach()
    print(f"relative L2 error: {(u - exact(t)).norm() / exact(t).norm():.0e}")
    figure, axes = plt.subplots()
    axes.plot(t, exact(t), color="C6", linewidth=5, alpha=0.4, label="exact")
    axes.plot(t, u, label="network")
    axes.set(xlabel="time t in s", ylabel="displacement u in m")
    axes.legend()
    figure.savefig(picture)


if __name__ == "__main__":
    main()
