"""Loaders, data sets and batches of every kind that people have, trained and validated on."""

from __future__ import annotations

import gc
import tracemalloc
from collections import UserDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
)

from perceptrain import TrainConfig, Trainer, to_dataloader
from perceptrain.errors import DataError

MakeTrainer = Callable[..., Trainer]
X = torch.arange(20.0).reshape(20, 1) / 20
Y = 2 * X
ROWS = TensorDataset(X, Y)


class Rowwise(Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 20

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return X[i], Y[i]


class Foreign:
    """Map-style, and no data set of torch."""

    def __init__(self, rows: int = 20) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        return {"x": X[i], "y": Y[i]}


class Table(Foreign):
    """As those of Hugging Face: rows are dicts, iterating gives rows, several can be asked for."""

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return (self[i] for i in range(self.rows))

    def __getitems__(self, indices: list[int]) -> list[dict[str, Tensor]]:
        return [self[i] for i in indices]


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        worker = get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        return islice(zip(X, Y, strict=True), first, None, step)


class Guessed(Stream):
    """A stream that is wrong about its length."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length


class Unknown(Stream):
    def __len__(self) -> int:
        raise NotImplementedError


class Labelled(NamedTuple):
    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Sample:
    x: Tensor
    y: Tensor


class Encoding(UserDict):  # type: ignore[type-arg]
    def to(self, device: Any) -> Encoding:
        self.data = {name: part.to(device) for name, part in self.data.items()}
        return self


class Graph:
    def __init__(self, x: Tensor, y: Tensor) -> None:
        self.x, self.y = x, y

    def to(self, device: Any) -> Graph:
        return Graph(self.x.to(device), self.y.to(device))


def collated(make: Callable[[Tensor, Tensor], Any], **options: Any) -> Any:
    def collate(rows: list[Any]) -> Any:
        return make(torch.stack([x for x, _ in rows]), torch.stack([y for _, y in rows]))

    return DataLoader(ROWS, batch_size=5, collate_fn=collate, **options)


def by_name(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
    if not isinstance(batch, dict | UserDict):
        batch = vars(batch) if hasattr(batch, "__dict__") else batch._asdict()
    assert torch.equal(2 * batch["x"], batch["y"])  # what belongs together is together
    return F.mse_loss(model(batch["x"]), batch["y"]), {}


def linear(dtype: torch.dtype = torch.float32) -> nn.Module:
    return nn.Linear(1, 1, dtype=dtype)


def loader(data: Any, **options: Any) -> Any:
    return DataLoader(data, **({"batch_size": 5} | options))


# What is given, the loss, and the steps of an epoch.
KINDS: dict[str, tuple[Callable[[], Any], Any, int]] = {
    "a worker": (lambda: loader(Rowwise(), num_workers=1), "mse", 4),
    "workers that stay": (
        lambda: loader(Rowwise(), num_workers=2, persistent_workers=True),
        "mse",
        4,
    ),
    "workers of a stream": (lambda: loader(Stream(), num_workers=2), "mse", 4),
    "replacement": (lambda: loader(ROWS, sampler=RandomSampler(ROWS, True, 12)), "mse", 3),
    "subset": (lambda: loader(ROWS, sampler=SubsetRandomSampler(range(7))), "mse", 2),
    "weighted": (lambda: loader(ROWS, sampler=WeightedRandomSampler([1.0] * 20, 9)), "mse", 2),
    "batch sampler": (
        lambda: DataLoader(ROWS, batch_sampler=BatchSampler(RandomSampler(ROWS), 6, True)),
        "mse",
        3,
    ),
    "batches in the data set": (lambda: DataLoader([(X, Y)] * 3, batch_size=None), "mse", 3),
    "too long a length": (lambda: loader(Guessed(90)), "mse", 4),
    "too short a length": (lambda: loader(Guessed(6)), "mse", 4),
    "an unknown length": (lambda: loader(Unknown()), "mse", 4),
    "a stream as it is": (lambda: Unknown(), "mse", 4),
    "Subset": (lambda: Subset(ROWS, range(6)), "mse", 2),
    "ConcatDataset": (lambda: ConcatDataset([ROWS, ROWS]), "mse", 8),
    "StackDataset": (lambda: StackDataset(x=X, y=Y), by_name, 4),
    "ChainDataset": (lambda: ChainDataset([Stream(), Stream()]), "mse", 8),
    "a data set of others": (lambda: Foreign(), by_name, 4),
    "a table of others": (lambda: Table(), by_name, 4),
    "a loader of a table": (lambda: loader(Table(), shuffle=True), by_name, 4),
    "named tuple": (lambda: collated(Labelled), "mse", 4),
    "named tuple by name": (lambda: collated(Labelled), by_name, 4),
    "dataclass": (lambda: collated(Sample), by_name, 4),
    "UserDict": (lambda: collated(lambda x, y: Encoding(x=x, y=y)), by_name, 4),
    "its own object": (lambda: collated(Graph), by_name, 4),
    "list": (lambda: collated(lambda x, y: [x, y]), "mse", 4),
    "a batch larger than the data": (lambda: to_dataloader(X, Y, batch_size=10**9), "mse", 1),
    "array": (lambda: (X.numpy(), Y.numpy()), "mse", 4),
    "array and tensor": (lambda: (X.numpy()[::-1], Y.flip(0)), "mse", 4),
    "dict of arrays": (lambda: {"x": X.numpy(), "y": Y.numpy()}, by_name, 4),
    "dict of tensors": (lambda: {"x": X, "y": Y}, by_name, 4),
}


@pytest.mark.parametrize("kind", KINDS)
def test_fit_validate_and_test(make_trainer: MakeTrainer, kind: str) -> None:
    make, loss_fn, steps = KINDS[kind]
    options = {"model": linear(), "val": make(), "val_every": 2}
    trainer = make_trainer(loss_fn, data=make(), shuffle=True, **options)
    trainer.fit()
    assert trainer.global_step == 2 * steps
    assert trainer.history[1].keys() == {"train_loss", "val_loss"}
    assert len(trainer.test(make())) == steps
    assert trainer.validate(make())["val_loss"] >= 0


@pytest.mark.parametrize(
    "kind", ["named tuple", "dataclass", "UserDict", "array", "dict of arrays", "a table of others"]
)
def test_dtype_reaches_into_every_batch(make_trainer: MakeTrainer, kind: str) -> None:
    make, loss_fn, _ = KINDS[kind]
    trainer = make_trainer(loss_fn, data=make(), model=linear(), dtype=torch.float64)
    trainer.fit()
    assert next(trainer.model.parameters()).dtype is torch.float64


def test_rows_of_a_dict_of_tensors_stay_together(make_trainer: MakeTrainer) -> None:
    """Not each part in an order of its own, for they may be inputs and labels."""
    seen: list[float] = []

    def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        seen.extend(batch["x"][:, 0].tolist())
        return by_name(batch, model)

    data = {"x": X, "y": Y}
    make_trainer(loss_fn, data=data, model=linear(), max_iter=1, shuffle=True).fit()
    assert seen != X[:, 0].tolist()
    assert sorted(seen) == X[:, 0].tolist()


@pytest.mark.parametrize("shuffle", [False, True])
def test_inputs_that_record_gradients(make_trainer: MakeTrainer, shuffle: bool) -> None:
    def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        u = model(batch[0])
        (slope,) = torch.autograd.grad(u.sum(), batch[0], create_graph=True)
        return F.mse_loss(u, batch[1]) + slope.square().mean(), {}

    x = X.clone().requires_grad_()
    trainer = make_trainer(loss_fn, data=(x, Y), model=linear(), shuffle=shuffle)
    trainer.fit()
    assert trainer.global_step == 8


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_in_a_data_set_is_the_users_own(make_trainer: MakeTrainer, workers: int) -> None:
    class Rotten(Rowwise):
        def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
            if i == 7:
                raise LookupError("row seven is rotten")
            return super().__getitem__(i)

    trainer = make_trainer(data=loader(Rotten(), num_workers=workers), model=linear())
    with pytest.raises(LookupError, match="row seven is rotten") as caught:
        trainer.fit()
    if workers:
        assert "in __getitem__" in str(caught.value)  # the traceback in the worker
    assert trainer.global_step == 1


def test_torch_tells_that_no_memory_can_be_pinned(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(data=loader(ROWS, pin_memory=True), model=linear())
    if torch.cuda.is_available():
        trainer.fit()
    else:
        with pytest.warns(UserWarning, match="pin_memory"):
            trainer.fit()
    assert trainer.global_step == 8


def test_an_endless_loader_takes_no_memory_by_the_step() -> None:
    x = torch.randn(1000, 2)
    endless = iter(to_dataloader(x, x, batch_size=30, infinite=True))

    def taken(steps: int) -> int:
        tracemalloc.start()
        for _ in islice(endless, steps):
            pass
        gc.collect()
        size = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return size

    taken(100)
    assert taken(4000) - taken(2000) < 2000


def masked(rows: int) -> Any:
    array = np.ma.masked_invalid(np.array([[1.0, 2.0], [np.nan, 4.0]] * rows))
    return array, np.ones((2 * rows, 1))


def of_arrays(batch: Any, model: nn.Module) -> Any:
    inputs, labels = (torch.as_tensor(np.asarray(part), dtype=torch.float32) for part in batch)
    return (model(inputs) - labels).square().mean(), {}


def test_masked_values_in_a_loader_of_a_user() -> None:
    config = TrainConfig(max_iter=1, verbose=False, tracking_tool="none")
    trainer = Trainer(nn.Linear(2, 1), "adam", config, of_arrays)
    with pytest.raises(DataError, match=r"shape \(4, 2\) has 2 masked values.*x.filled"):
        trainer.fit([masked(2)])
    with pytest.raises(DataError, match="masked values"):
        trainer.validate([masked(2)])
    array, labels = masked(2)
    trainer.fit([(array.filled(0.0), labels), (np.ma.ones((2, 2)), labels[:2])])


def test_batches_without_values_in_a_loader_of_a_user() -> None:
    config = TrainConfig(max_iter=1, verbose=False, tracking_tool="none")
    batch = torch.ones(4, 2, device="meta"), torch.ones(4, 1)
    for trainer in (
        Trainer(nn.Linear(2, 1), "adam", config),
        Trainer(nn.Linear(2, 1).double(), "adam", replace(config, dtype=torch.float64)),
    ):
        with pytest.raises(
            DataError, match=r"shape \(4, 2\) .* on the device 'meta', which has no"
        ):
            trainer.fit([batch])
        with pytest.raises(DataError, match="on the device 'meta'"):
            trainer.validate([batch])
