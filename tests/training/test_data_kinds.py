"""One epoch is one pass over the data, whatever their kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from perceptrain import DictDataLoader, InfiniteTensorDataset, Trainer, to_dataloader
from perceptrain.errors import DataError

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]
X = torch.arange(20.0).reshape(20, 1)


class Rowwise(Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 20

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return X[i], X[i]


class Stream(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return iter(zip(X, X, strict=True))


class Recorder:
    """A loss that keeps the rows that it has seen."""

    def __init__(self) -> None:
        self.rows: list[float] = []
        self.batches = 0

    def __call__(self, batch: Rows, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        self.batches += 1
        self.rows += batch[0][:, 0].tolist()
        return F.mse_loss(model(batch[0]), batch[1]), {}


@pytest.fixture
def linear() -> nn.Module:
    return nn.Linear(1, 1).requires_grad_()


KINDS: dict[str, Callable[[], Any]] = {
    "tensors": lambda: (X, X),
    "to_dataloader": lambda: to_dataloader(X, X, batch_size=5),
    "shuffled": lambda: to_dataloader(X, X, batch_size=5, shuffle=True),
    "TensorDataset": lambda: TensorDataset(X, X),
    "loader of a TensorDataset": lambda: DataLoader(TensorDataset(X, X), batch_size=5),
    "map-style": lambda: Rowwise(),
    "loader of a map-style data set": lambda: DataLoader(Rowwise(), batch_size=5, shuffle=True),
    "iterable": lambda: Stream(),
    "loader of an iterable data set": lambda: DataLoader(Stream(), batch_size=5),
    "list of batches": lambda: [(part, part) for part in X.split(5)],
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_once_in_each_epoch(
    make_trainer: MakeTrainer, linear: nn.Module, kind: str
) -> None:
    """Not one batch an epoch, for any class of data set."""
    loss_fn = Recorder()
    trainer = make_trainer(loss_fn, data=KINDS[kind](), model=linear, max_iter=3, shuffle=True)
    trainer.fit()
    assert trainer.global_step == loss_fn.batches == 12
    for start in (0, 20, 40):
        assert sorted(loss_fn.rows[start : start + 20]) == X[:, 0].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_max_batches(make_trainer: MakeTrainer, linear: nn.Module, kind: str) -> None:
    trainer = make_trainer(data=KINDS[kind](), model=linear, options={"max_batches": 3})
    trainer.fit()
    assert trainer.global_step == 6


@pytest.mark.parametrize(
    "endless",
    [
        lambda x: to_dataloader(x, x, batch_size=10, infinite=True),
        lambda x: DataLoader(InfiniteTensorDataset(x, x), batch_size=10),
    ],
)
def test_ten_epochs_of_an_infinite_loader_see_all_rows(
    make_trainer: MakeTrainer, linear: nn.Module, endless: Any
) -> None:
    x, loss_fn = torch.arange(100.0).reshape(100, 1) / 100, Recorder()
    trainer = make_trainer(loss_fn, data=endless(x), model=linear, max_iter=10)
    trainer.fit()
    assert loss_fn.batches == len(trainer.history) == 10
    assert sorted(loss_fn.rows) == x[:, 0].tolist()


def test_endless_iterator(make_trainer: MakeTrainer, linear: nn.Module) -> None:
    loss_fn = Recorder()
    data = cycle([(part, part) for part in X.split(5)])
    make_trainer(loss_fn, data=data, model=linear, max_iter=6).fit()
    assert loss_fn.rows == [*X[:, 0].tolist(), *X[:10, 0].tolist()]


def test_generator_can_be_gone_through_once(make_trainer: MakeTrainer, linear: nn.Module) -> None:
    trainer = make_trainer(data=((p, p) for p in X.split(5)), model=linear, max_iter=2)
    with pytest.raises(DataError, match=r"no batch in epoch 2.*iterator that can be used only"):
        trainer.fit()
    assert len(trainer.history) == 1


@pytest.mark.parametrize(("batch_size", "steps"), [(1, 20), (7, 3), (20, 1), (64, 1)])
def test_batch_size_is_used_for_plain_tensors(
    make_trainer: MakeTrainer, linear: nn.Module, batch_size: int, steps: int
) -> None:
    trainer = make_trainer(data=(X, X), model=linear, batch_size=batch_size, max_iter=1)
    trainer.fit()
    assert trainer.global_step == steps


def test_dict_of_tensors(make_trainer: MakeTrainer, linear: nn.Module) -> None:
    def loss_fn(batch: dict[str, Tensor], model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        assert {name: part.shape for name, part in batch.items()} == {"a": (5, 1), "b": (5, 1)}
        terms = {name: model(part).square().mean() for name, part in batch.items()}
        return sum(terms.values(), torch.tensor(0.0)), terms

    for data in ({"a": X, "b": X[:10]}, DictDataLoader({"a": to_dataloader(X, batch_size=5)})):
        data = data if isinstance(data, dict) else DictDataLoader(data.dataloaders | {"b": [X[:5]]})
        trainer = make_trainer(loss_fn, data=data, model=linear)
        trainer.fit()
        assert trainer.global_step == 8
        assert set(trainer.history[0]) == {"train_loss", "train_a", "train_b"}


def test_empty_iterable_without_length(make_trainer: MakeTrainer, linear: nn.Module) -> None:
    class Empty(IterableDataset):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            return iter(())

    with pytest.raises(DataError, match="no batch in epoch 1: they are empty"):
        make_trainer(data=Empty(), model=linear).fit()
    with pytest.raises(DataError, match="validation data returned no batch"):
        make_trainer(model=linear).validate(Empty())


@pytest.mark.parametrize("limit", [0, -3, 2.5, "two"])
def test_impossible_max_batches(make_trainer: MakeTrainer, limit: Any) -> None:
    expected = f"max_batches={limit!r}: expected a whole number of at least 1.*, or None for all"
    with pytest.raises(DataError, match=expected):
        make_trainer(options={"max_batches": limit})


def test_no_data_for_a_loss_that_needs_them(make_trainer: MakeTrainer) -> None:
    with pytest.raises(DataError, match="There are no data: pass them"):
        make_trainer(data=None).fit()
    with pytest.raises(DataError, match="training data are of type int"):
        make_trainer(data=3).fit()


def test_validation_asked_for_without_data(make_trainer: MakeTrainer) -> None:
    with pytest.raises(DataError, match="val_every=2, but there are no validation data"):
        make_trainer(val_every=2).fit()
