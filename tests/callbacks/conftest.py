from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Trainer


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, for runs write where they are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


class Scripted(nn.Module):
    """A loss whose validation takes the values it is told, while training goes on."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = list(values)

    def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        loss = (model(batch[0]) - batch[1]).square().mean()
        return (loss if self.training else torch.tensor(self.values.pop(0))), {}


@pytest.fixture
def scripted(make_trainer: Callable[..., Trainer], rows: Any) -> Callable[..., Trainer]:
    """Make a trainer with one batch an epoch, whose validations have the losses that are given."""

    def make(*values: float, **settings: Any) -> Trainer:
        plain = {"val": rows, "batch_size": 20, "val_every": 1, "max_iter": len(values)}
        return make_trainer(Scripted(*values), **(plain | settings))

    return make


def two_groups(model: nn.Module) -> torch.optim.Optimizer:
    """Give an optimizer whose parameter groups have rates of their own."""
    first, *rest = model.parameters()
    groups = [{"params": [first], "lr": 0.2}, {"params": rest, "lr": 0.05}]
    return torch.optim.SGD(groups, momentum=0.9)


@pytest.fixture
def make_two_groups(
    make_trainer: Callable[..., Trainer], make_net: Callable[..., nn.Module]
) -> Callable[..., Trainer]:
    """Make a trainer whose optimizer has two parameter groups, at 0.2 and 0.05."""

    def make(**settings: Any) -> Trainer:
        model = make_net()
        return make_trainer(model=model, optimizer=two_groups(model), **settings)

    return make
