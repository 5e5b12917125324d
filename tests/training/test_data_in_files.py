"""Arrays that are mapped from files train as in memory do, and are not read whole."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perceptrain import DictDataLoader, Trainer, to_dataloader

from ..forked import ForkServer
from ..shared import same

MakeTrainer = Callable[..., Trainer]
Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture
def in_memory() -> Pair:
    chance = np.random.default_rng(1)
    return chance.random((70, 2), dtype=np.float32), chance.random((70, 1), dtype=np.float32)


@pytest.fixture
def in_files(here: Path, in_memory: Pair) -> Iterator[Pair]:
    """The same rows in read-only maps, the inputs in the order of Fortran."""
    for name, values in zip("xy", (np.asfortranarray(in_memory[0]), in_memory[1]), strict=True):
        np.save(f"{name}.npy", values)
    x, y = (np.load(f"{name}.npy", mmap_mode="r") for name in "xy")
    yield x, y
    for name, values in zip("xy", in_memory, strict=True):
        assert np.array_equal(np.load(f"{name}.npy"), values)


def careless(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    """Change the batch in place."""
    x, y = batch.values() if isinstance(batch, dict) else batch
    x, y = (part[0] if isinstance(part, tuple | list) else part for part in (x, y))
    loss = (model(x.mul_(0.5)) - y).square().mean()
    return loss, {}


SHAPES: dict[str, Callable[[Pair], Any]] = {
    "tuple": lambda pair: pair,
    "dict": lambda pair: {"x": pair[0], "y": pair[1]},
    "slices": lambda pair: (pair[0][5:], pair[1][5:]),
    "loader": lambda pair: to_dataloader(*pair, batch_size=8, shuffle=True, drop_last=True),
    "infinite": lambda pair: to_dataloader(*pair, batch_size=8, infinite=True),
    "collated": lambda pair: to_dataloader(
        *pair, batch_size=8, collate_fn=torch.utils.data.default_collate
    ),
    "loaders": lambda pair: DictDataLoader(
        {"x": to_dataloader(pair[0], batch_size=9), "y": to_dataloader(pair[1], batch_size=9)}
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("shuffle", [False, True])
def test_results_are_those_in_memory(
    make_trainer: MakeTrainer, in_memory: Pair, in_files: Pair, shape: str, shuffle: bool
) -> None:
    def train(pair: Pair) -> Any:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        settings = {"batch_size": 8, "max_iter": 3, "seed": 2, "shuffle": shuffle}
        if shape != "infinite":
            settings |= {"val_every": 1}
        data = SHAPES[shape](pair)
        # Copies in memory, for the loss changes batches that are views.
        val = (
            SHAPES[shape](tuple(part.copy() for part in pair)) if "val_every" in settings else None
        )
        trainer = make_trainer(gentle, data=data, val=val, model=model, **settings)
        trainer.fit()
        return model, list(trainer.history)

    assert same(train(in_files), train(in_memory))


def gentle(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    x, y = batch.values() if isinstance(batch, dict) else batch
    return (model(x) - y).square().mean(), {}


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_loss_that_changes_its_batch_changes_no_file(
    make_trainer: MakeTrainer, in_files: Pair, mode: Any
) -> None:
    x, y = (np.load(f"{name}.npy", mmap_mode=mode) for name in "xy")
    make_trainer(careless, data=(x, y), val=(x, y), val_every=1).fit()


def test_a_model_that_changes_its_input_predicts(
    make_trainer: MakeTrainer, in_memory: Pair, in_files: Pair
) -> None:
    model = nn.Sequential(nn.Hardtanh(0.2, 0.3, inplace=True), nn.Linear(2, 1))
    trainer = make_trainer(model=model)
    expected = trainer.predict(in_memory[0]).values
    assert torch.equal(
        torch.as_tensor(trainer.predict(in_files[0]).values), torch.as_tensor(expected)
    )


def test_double_values_are_cast_batch_by_batch(make_trainer: MakeTrainer, here: Path) -> None:
    np.save("x.npy", np.random.default_rng(0).random((20, 2)))
    x = np.load("x.npy", mmap_mode="r")
    y = np.zeros((20, 1))
    seen = set()

    def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        seen.add(batch[0].dtype)
        return (model(batch[0]) - batch[1]).square().mean(), {}

    make_trainer(loss_fn, data=(x, y), dtype=torch.float64).fit()
    make_trainer(loss_fn, data=(x, y), dtype=torch.float32).fit()
    assert seen == {torch.float64, torch.float32}


PROGRAM = """
import sys
import numpy as np, torch
from torch import nn
from perceptrain import Callback, TrainConfig, Trainer

def memory():
    with open("/proc/self/smaps_rollup") as file:
        sizes = dict(line.split()[:2] for line in file if line.endswith("kB\\n"))
    return int(sizes["Anonymous:"]), int(sizes["Rss:"])

kind, shuffle = sys.argv[1], sys.argv[2] == "True"
shape = 2**19, 2048
if kind == "array":
    np.lib.format.open_memmap("x.npy", "w+", np.float32, shape)
    x = np.load("x.npy", mmap_mode="r")
else:
    with open("x.bin", "wb") as file:
        file.truncate(4 * shape[0] * shape[1])
    x = torch.from_file("x.bin", True, shape[0] * shape[1], dtype=torch.float32).view(shape)
y = torch.zeros(shape[0], 1)
model, seen = nn.Linear(shape[1], 1), []
look = Callback("train_batch_end", callback=lambda t, c, w: seen.append(memory()))
config = TrainConfig(max_steps=20, batch_size=64, shuffle=shuffle, verbose=False, callbacks=[look])
trainer = Trainer(model, torch.optim.SGD(model.parameters()), config, "mse")
trainer.fit((torch.zeros(64, shape[1]), torch.zeros(64, 1)))  # what is made once is made now
before = memory()
trainer.fit((x, y))
trainer.validate((x[:64], y[:64]))
seen.append(memory())
print(*(max(now) - then for now, then in zip(zip(*seen), before)))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("kind", "shuffle"), [("array", True), ("tensor", False)])
def test_four_gigabytes_are_not_read(
    here: Path, forks: ForkServer, kind: str, shuffle: bool
) -> None:
    """The file is sparse; memory apart from it grows by the order of the rows at most."""
    done = forks.run("-c", PROGRAM, kind, str(shuffle))
    assert not done.returncode, done.stderr
    anonymous, resident = map(int, done.stdout.split())  # in KiB
    order = 8 * 2**19 // 1024 if shuffle else 0
    assert anonymous < order + 40_000
    assert resident < 2**20 + order  # no more than a quarter of the file was looked at
