from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from perceptrain import load_checkpoint, load_model, write_checkpoint
from perceptrain.errors import CheckpointError

from ..shared import same


class Inner(nn.Module):
    """A model with a part named like the prefix of a wrapper."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Linear(2, 1)
        self.n_averaged = nn.Parameter(torch.ones(()))


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def partly_compiled() -> nn.Module:
    model: Any = net()
    model[0] = torch.compile(model[0])
    return model  # type: ignore[no-any-return]


def compiled(model: nn.Module) -> nn.Module:
    return torch.compile(model)  # type: ignore[return-value]


WRAPPERS: list[Callable[[], nn.Module]] = [
    lambda: compiled(net()),
    lambda: nn.DataParallel(net()),
    lambda: compiled(nn.DataParallel(net())),
    partly_compiled,
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("wrapped", WRAPPERS)
def test_prefixes_of_wrappers_make_no_difference(
    tmp_path: Path, wrapped: Callable[[], nn.Module]
) -> None:
    for number, (there, here) in enumerate([(wrapped(), net()), (net(), wrapped())]):
        path = write_checkpoint(tmp_path / str(number), there, None, 1)
        load_checkpoint(path, here)
        assert same(list(here.state_dict().values()), list(there.state_dict().values()))


@pytest.mark.parametrize("make", [net, Inner])
def test_the_average_of_a_model_by_hand(tmp_path: Path, make: Callable[[], nn.Module]) -> None:
    average = AveragedModel(make())  # type: ignore[no-untyped-call]
    path = tmp_path / "average.pt"
    torch.save(average.state_dict(), path)
    assert same(load_model(path, make()).state_dict(), average.module.state_dict())


def test_other_differences_are_reported(tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path, nn.DataParallel(nn.Linear(2, 1)), None, 1)
    with pytest.raises(CheckpointError, match=r"(?s)0\.bias: missing .*module\.bias: unknown"):
        load_checkpoint(path, net())
