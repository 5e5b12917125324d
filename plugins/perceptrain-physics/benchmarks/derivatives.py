"""Compare nested reverse mode, which the plugin uses, with forward mode for second derivatives.

Measures the CPU time of ``loss = mean((u_xx + u_yy + u)^2)`` and its backward pass on a
2-50-50-50-1 network.
"""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

import torch
from torch import Tensor, nn
from torch.func import jvp

from perceptrain import FFNN
from perceptrain_physics import laplacian, partials

Terms = Callable[[nn.Module, Tensor], Tensor]


def named(net: nn.Module, x: Tensor) -> Tensor:
    """Reverse mode with ``partials``."""
    u, u_xx, u_yy = partials(net, x, "", "xx", "yy")
    return u + u_xx + u_yy


def summed(net: nn.Module, x: Tensor) -> Tensor:
    """Reverse mode with ``laplacian``."""
    x = x.detach().requires_grad_()
    u = net(x)
    return u + laplacian(u, x)


def forward_one_by_one(net: nn.Module, x: Tensor) -> Tensor:
    """Forward over forward, one direction at a time."""
    total = net(x)
    for axis in range(2):
        total = total + _second(net, x, _direction(x, axis))[1]
    return total


def forward_together(net: nn.Module, x: Tensor) -> Tensor:
    """Forward over forward, both directions in one batch."""
    both = torch.cat([x, x])
    u, second = _second(net, both, torch.cat([_direction(x, 0), _direction(x, 1)]))
    return u[: len(x)] + second[: len(x)] + second[len(x) :]


def _second(net: nn.Module, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    (u, _), (_, second) = jvp(lambda y: jvp(net, (y,), (v,)), (x,), (v,))
    return u, second


def _direction(x: Tensor, axis: int) -> Tensor:
    v = torch.zeros_like(x)
    v[:, axis] = 1
    return v


def measure(terms: Terms, points: int, steps: int) -> float:
    """Return the CPU time of a step in milliseconds, the minimum of five runs."""
    torch.manual_seed(0)
    net, x = FFNN([2, 50, 50, 50, 1]), torch.rand(points, 2)
    best = float("inf")
    for _ in range(6):  # the first is a warm-up
        start = process_time()
        for _ in range(steps):
            net.zero_grad()
            terms(net, x).square().mean().backward()
        best = min(best, (process_time() - start) / steps)
    return 1e3 * best


def main() -> None:
    """Print one row per method."""
    torch.set_num_threads(1)
    print(f"{'':20}" + "".join(f"{n:>8} points" for n in (128, 1024)))
    for terms in (named, summed, forward_one_by_one, forward_together):
        row = [measure(terms, 128, 40), measure(terms, 1024, 10)]
        print(f"{terms.__name__:20}" + "".join(f"{ms:12.2f} ms" for ms in row))


if __name__ == "__main__":
    main()
