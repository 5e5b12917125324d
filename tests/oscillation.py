"""A differential equation that tests of captured steps train on: u'' + u = 0 with u(0) = 1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN


def ode(points: Tensor, net: nn.Module) -> Tensor:
    u = net(points)
    (du,) = torch.autograd.grad(u.sum(), points, create_graph=True)
    (ddu,) = torch.autograd.grad(du.sum(), points, create_graph=True)
    return ddu + u


def start(points: Tensor, net: nn.Module) -> Tensor:
    return net(points) - 1


def pinn() -> nn.Module:
    return PINN(FFNN([1, 8, 8, 1], nn.Tanh()), {"ode": ode, "start": start})


def points() -> Any:
    inner = torch.rand(20, 1, generator=torch.Generator().manual_seed(1))
    return [{"ode": inner, "start": torch.zeros(1, 1)}]
