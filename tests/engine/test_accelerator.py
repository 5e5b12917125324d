from __future__ import annotations

import pytest
import torch
from torch import nn

from perceptrain import to_dataloader
from perceptrain.errors import ConfigError, TrainingError
from perceptrain.train_utils import Accelerator


def train(accelerator: Accelerator, batch_size: int) -> dict[str, object]:
    """Train by a loop of one's own: a model, an optimizer and a loader get ready together."""
    torch.manual_seed(accelerator.rank if accelerator.world_size > 1 else 0)
    model = nn.Linear(2, 1).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(12, 2, dtype=torch.float64, generator=generator)
    loader = to_dataloader(x, batch_size=batch_size)
    wrapped, optimizer, loader, name = accelerator.prepare(model, optimizer, loader, "name")
    for batch in loader:
        (rows,) = accelerator.prepare_batch(batch)
        optimizer.zero_grad()
        loss = (wrapped(rows) - 1).square().mean()
        loss.backward()
        optimizer.step()
    return {
        "weight": model.weight.detach(),
        "loss": accelerator.all_reduce_dict({"loss": loss})["loss"],
        "own": accelerator.all_reduce_dict({"rank": accelerator.rank})["rank"].item(),
        "counted": accelerator.all_reduce_dict({"rank": accelerator.rank}, accelerator.rank + 3),
        "broadcast": [
            accelerator.broadcast(accelerator.rank, src=accelerator.world_size - 1),
            accelerator.broadcast(torch.full((2,), accelerator.rank)).tolist(),
        ],
        "names": (name, len(loader), type(wrapped).__name__, accelerator.device.type),
    }


def test_two_processes_are_one_with_the_doubled_batch(forked_workers: None) -> None:
    accelerator = Accelerator(nprocs=2, compute_setup="cpu")

    @accelerator.distribute
    def two() -> dict[str, object]:
        # By value, for no other process finds this test.
        import cloudpickle

        return cloudpickle.loads(pickled)(accelerator, 3)

    pickled = pickled_by_value()
    found, alone = two(), train(Accelerator(compute_setup="cpu"), 6)
    assert found["names"] == ("name", 2, "DistributedDataParallel", "cpu")
    assert alone["names"] == ("name", 2, "Linear", "cpu")
    torch.testing.assert_close(found["weight"], alone["weight"], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found["loss"], alone["loss"])
    assert found["own"] == 0.5
    assert found["counted"]["rank"].item() == pytest.approx(4 / 7)
    assert found["broadcast"] == [1, [0, 0]]


def pickled_by_value() -> bytes:
    import sys

    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        return cloudpickle.dumps(train)
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def test_one_process_just_calls() -> None:
    accelerator = Accelerator(compute_setup="cpu", dtype=torch.float64)
    calls = []
    assert accelerator.distribute(lambda value: calls.append(value) or 3)(2) == 3
    assert calls == [2]
    assert (accelerator.rank, accelerator.world_size) == (0, 1)
    model = accelerator.prepare(nn.Linear(2, 1))
    assert model.weight.dtype == torch.float64
    assert accelerator.prepare_batch({"x": torch.ones(2)})["x"].dtype == torch.float64
    assert accelerator.broadcast("x") == "x"


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"nprocs=0.*compute_setup='tpu'.*log_setup='gpu'"):
        Accelerator(nprocs=0, compute_setup="tpu", log_setup="gpu")
    with pytest.raises(TrainingError, match="means over nothing"):
        Accelerator(compute_setup="cpu").all_reduce_dict({"loss": 1.0}, 0)
    with pytest.raises(TrainingError, match="src=1, but there are 1 processes"):
        Accelerator(compute_setup="cpu").broadcast(1, src=1)
