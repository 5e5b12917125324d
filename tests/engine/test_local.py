from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam

from perceptrain.errors import TrainingError
from perceptrain_core.engine import Engine, LocalEngine


def test_one_process_on_the_cpu() -> None:
    engine: Engine = LocalEngine()
    assert engine.rank == 0
    assert engine.device == torch.device("cpu")
    assert engine.dtype is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_where_there_is_none() -> None:
    with pytest.raises(TrainingError, match=r'finds no CUDA device. Use "auto"'):
        LocalEngine("gpu")
    assert LocalEngine("auto").device.type == "cpu"


def test_everything_takes_the_dtype(
    rows: tuple[Tensor, Tensor], make_net: Callable[..., nn.Module]
) -> None:
    model, loss_fn = make_net(), nn.Linear(1, 1)
    optimizer = Adam(model.parameters())
    F.mse_loss(model(rows[0]), rows[1]).backward()
    optimizer.step()
    engine = LocalEngine(dtype=torch.float64)
    engine.prepare(model, optimizer, loss_fn)
    assert loss_fn.weight.dtype is torch.float64
    for parameter in model.parameters():
        assert parameter.dtype is torch.float64
        assert optimizer.state[parameter]["exp_avg"].dtype is torch.float64
    x, y, labels = engine.place((*rows, torch.arange(20)))
    assert (x.dtype, y.dtype, labels.dtype) == (torch.float64, torch.float64, torch.int64)


def test_nothing_is_cast_unless_asked(make_net: Callable[..., nn.Module]) -> None:
    model = make_net().double()
    LocalEngine().prepare(model, None, None)
    assert next(model.parameters()).dtype is torch.float64
