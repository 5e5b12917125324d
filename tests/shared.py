"""What tests of several folders share, beside the fixtures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer


def same(one: Any, other: Any) -> bool:
    """Compare two models, or nested states, bit for bit."""
    if isinstance(one, nn.Module):
        return same(one.state_dict(), other.state_dict())
    if isinstance(one, Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def mse_closure(
    model: nn.Module, optimizer: Optimizer, rows: tuple[Tensor, Tensor]
) -> Callable[[], Tensor]:
    """Return a closure of the mean squared error, for ``optimizer.step``."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.mse_loss(model(rows[0]), rows[1])
        loss.backward()
        return loss

    return closure


class MatrixProducts:
    """Products with a matrix, as `ImplicitLinearized` uses them."""

    def __init__(self, matrix: Tensor) -> None:
        self.matrix = matrix

    def times(self, vector: Tensor) -> Tensor:
        return self.matrix @ vector

    def transposed_times(self, vector: Tensor) -> Tensor:
        return self.matrix.T @ vector


def noisy_net() -> nn.Module:
    """A network with buffers and random numbers, whose weights are always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Linear(2, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.3), nn.Linear(8, 1)
        )


def install_plugin(root: Path, name: str, source: str, version: str = "1.0") -> None:
    """Write a plugin of one module into a folder, as pip would leave it."""
    module = name.replace("-", "_")
    (root / f"{module}.py").write_text(source)
    info = root / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[perceptrain]\nmain = {module}\n")


@contextmanager
def pickled_by_value(module: str) -> Iterator[None]:
    """Send the functions of a module of tests to processes that cannot import it."""
    imported = sys.modules[module]
    cloudpickle.register_pickle_by_value(imported)
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(imported)
