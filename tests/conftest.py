"""Small parts that many tests are made of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn

from perceptrain import FFNN, TrainConfig, Trainer

from . import whole_run

# How long an example takes says something of the machine, not of the code.
settings.register_profile("perceptrain", deadline=None)
settings.load_profile("perceptrain")

# Networks here are tiny: more threads would only wait for each other, also in new processes.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Arrange a run of all tests; hooks of this file itself would not see those of plugins."""
    config.pluginmanager.register(whole_run)


@pytest.fixture
def own_pictures() -> Iterator[None]:
    """Forget the style and the figures of a program that is run here."""
    import matplotlib
    from matplotlib import pyplot

    with matplotlib.rc_context():
        pyplot.switch_backend("agg")
        yield
    pyplot.close("all")


@pytest.fixture
def rows() -> tuple[Tensor, Tensor]:
    """Twenty rows of a smooth function: inputs (20, 2), labels (20, 1)."""
    x = torch.randn(20, 2, generator=torch.Generator().manual_seed(1))
    return x, (x[:, :1] - x[:, 1:]).sin()


@pytest.fixture
def make_net() -> Callable[..., nn.Module]:
    """Make a network whose weights are always the same."""

    def make(*layers: int) -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(2)
            return FFNN(layers or (2, 8, 1), nn.Tanh())

    return make


@pytest.fixture
def make_trainer(
    rows: tuple[Tensor, Tensor], make_net: Callable[..., nn.Module]
) -> Callable[..., Trainer]:
    """Make a silent trainer; whatever is not given is the simplest that works."""

    def make(
        loss_fn: Any = "mse",
        *,
        data: Any = rows,
        val: Any = None,
        test: Any = None,
        model: nn.Module | None = None,
        optimizer: Any = None,
        kind: type[Trainer] = Trainer,
        options: dict[str, Any] | None = None,
        **settings: Any,
    ) -> Trainer:
        model = make_net() if model is None else model
        optimizer = optimizer or torch.optim.Adam(model.parameters(), lr=0.01)
        plain = {"max_iter": 2, "batch_size": 5, "shuffle": False, "verbose": False}
        config = TrainConfig(**(plain | {"tracking_tool": "csv"} | settings))
        return kind(model, optimizer, config, loss_fn, data, val, test, **(options or {}))

    return make
