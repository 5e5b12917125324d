"""Solve a damped oscillator with a physics-informed network, without any labels.

The equation is ``u'' + 2 d u' + w^2 u = 0`` with ``u(0) = 1`` and ``u'(0) = 0``. The network is
compared with the exact solution.
"""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, TrainConfig, Trainer

DAMPING, FREQUENCY = 0.5, 3.0


def derivative(u: Tensor, t: Tensor) -> Tensor:
    """Return du/dt, with the shape of ``t``."""
    (du,) = torch.autograd.grad(u.sum(), t, create_graph=True)
    return du


def oscillator(t: Tensor, net: nn.Module) -> Tensor:
    """Return the residual of the equation."""
    u = net(t)
    du = derivative(u, t)
    return derivative(du, t) + 2 * DAMPING * du + FREQUENCY**2 * u


def position(t: Tensor, net: nn.Module) -> Tensor:
    """Return the residual of u(0) = 1."""
    return net(t) - 1


def velocity(t: Tensor, net: nn.Module) -> Tensor:
    """Return the residual of u'(0) = 0."""
    return derivative(net(t), t)


def exact(t: Tensor) -> Tensor:
    """Return the exact solution."""
    w = sqrt(FREQUENCY**2 - DAMPING**2)
    return torch.exp(-DAMPING * t) * (torch.cos(w * t) + DAMPING / w * torch.sin(w * t))


def main(epochs: int = 3000) -> float:
    """Train the network. Return the relative L2 error."""
    torch.manual_seed(0)
    model = PINN(
        FFNN([1, 32, 32, 1]),
        {"ode": oscillator, "position": position, "velocity": velocity},
    )
    points = {
        "ode": torch.linspace(0, 2, 64).unsqueeze(-1),
        "position": torch.zeros(1, 1),
        "velocity": torch.zeros(1, 1),
    }
    trainer = Trainer(
        model,
        {"name": "adam", "lr": 3e-3, "betas": (0.9, 0.99)},
        TrainConfig(max_iter=epochs, print_every=max(1, epochs // 5)),
        loss_fn={"name": "grad_weighted", "fixed_metric": "ode", "every": 10},
    )
    trainer.fit([points])
    t = torch.linspace(0, 2, 201).unsqueeze(-1)
    with torch.no_grad():
        error = ((model.nn(t) - exact(t)).norm() / exact(t).norm()).item()
    print(f"relative L2 error against the exact solution: {error:.2e}")
    return error


if __name__ == "__main__":
    main()
