"""Data and batches that cannot work say why, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, SubsetRandomSampler, TensorDataset

from perceptrain import Trainer, to_dataloader
from perceptrain.errors import DataError

MakeTrainer = Callable[..., Trainer]
X = torch.arange(20.0).reshape(20, 1) / 20
Y = 2 * X
ROWS = TensorDataset(X, Y)


def linear(dtype: torch.dtype = torch.float32) -> nn.Module:
    return nn.Linear(1, 1, dtype=dtype)


def loader(data: Any, **options: Any) -> Any:
    return DataLoader(data, **({"batch_size": 5} | options))


class Rowless:
    def __len__(self) -> int:
        return 0

    def __getitem__(self, i: int) -> Any:
        raise IndexError


class Table(Rowless):
    def __getitems__(self, indices: list[int]) -> Any:
        raise IndexError


class Frame:
    """As of pandas: iterating gives the names of the columns."""

    def __iter__(self) -> Iterator[str]:
        return iter("ab")

    def __len__(self) -> int:
        return 2

    def to_numpy(self) -> Any:
        return X.numpy()


class Lengthless(Dataset):  # type: ignore[type-arg]
    def __getitem__(self, i: int) -> Any:
        return ROWS[i]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Frame(), r"of type Frame; expected .* Convert it, x.to_numpy\(\)"),
        ((Frame(), X), r"of type tuple; .* It holds Frame and Tensor: convert them"),
        ([loader(ROWS), loader(ROWS)], r"It holds DataLoader: .* fit\(train, val\)"),
        ((ROWS, Lengthless()), r"It holds TensorDataset and Lengthless: pass one for training"),
        (Lengthless, "of type type; .* Call it, and pass what it returns"),
        (lambda: loader(ROWS), "of type function; .* Call it"),
        ("rows.csv", "of type str; expected a DataLoader"),
        (Lengthless(), "data set Lengthless has no __len__.*or make it an IterableDataset"),
        (np.array(["a", "b"]), "cannot become a tensor"),
        (X.to_sparse(), "sparse or nested tensor cannot be cut into batches"),
        (to_dataloader(X, Y, batch_size=50, drop_last=True), "20 rows, fewer than batch_size=50"),
        (loader(ROWS, batch_size=50, drop_last=True), "20 rows, .* and drop_last=True"),
        (loader(ROWS, sampler=SubsetRandomSampler([])), "the DataLoader has length 0"),
        (Rowless(), "the Rowless has length 0"),
        (Table(), "the Table has length 0"),
        (np.zeros((0, 1)), r"empty: shapes \(0, 1\)"),
        ({}, "the dict has length 0"),
        ((), "the tuple has length 0"),
        ([], "empty"),
        ((torch.zeros(0, 1),), "empty"),
        (TensorDataset(torch.zeros(0, 1)), "empty"),
    ],
)
def test_data_that_cannot_work(make_trainer: MakeTrainer, data: Any, message: str) -> None:
    for trainer in (
        make_trainer(data=data, model=linear()),
        make_trainer(data=(X, Y), val=data, val_every=1, model=linear()),
    ):
        with pytest.raises(DataError, match=message):
            trainer.fit()


def notes_of(trainer: Trainer, kind: type[Exception]) -> Iterator[str]:
    """What is told beside the error, in training and in validation."""
    for work in (trainer.fit, lambda: trainer.validate(trainer.train_dataloader)):
        with pytest.raises(kind) as caught:
            work()
        yield " ".join(caught.value.__notes__)


@pytest.mark.parametrize(
    ("given", "own"), [(torch.float64, torch.float32), (torch.float32, torch.float64)]
)
def test_another_dtype_than_the_models(
    make_trainer: MakeTrainer, given: torch.dtype, own: torch.dtype
) -> None:
    """As NumPy's float64, beside a model of float32."""
    data = (X.to(given).numpy(), Y.to(given).numpy())
    trainer = make_trainer(data=data, model=linear(own))
    for notes in notes_of(trainer, RuntimeError):
        assert f"The batch has {given}, and the parameters have {own}." in notes
        assert f"TrainConfig(dtype={own}) casts" in notes
    make_trainer(data=data, model=linear(own), dtype=own).fit()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ([(X.numpy(), Y.numpy())], "a tuple of 2 elements"),
        ([[1.0, 2.0], [3.0, 4.0]], "a list of 2 elements"),
        ([("some", "words")], "a tuple of 2 elements"),
    ],
)
def test_batches_without_a_tensor(make_trainer: MakeTrainer, data: Any, what: str) -> None:
    for notes in notes_of(make_trainer(data=data, model=linear()), TypeError):
        assert f"The batch is {what}, without a tensor in it." in notes


def test_an_error_that_has_another_cause_gets_no_advice(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(data=(X[:, 0], Y[:, 0]), model=linear())
    with pytest.raises(RuntimeError) as caught:
        trainer.fit()
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("inputs", ["x", "input", "input_ids"])
@pytest.mark.parametrize("labels", ["y", "label", "labels", "target"])
def test_rows_that_are_dicts_need_a_loss_that_knows_the_names(
    make_trainer: MakeTrainer, inputs: str, labels: str
) -> None:
    example = f"F.mse_loss(model(batch[{inputs!r}]), batch[{labels!r}])"
    data = loader([{inputs: x, labels: y} for x, y in zip(X, Y, strict=True)])
    for notes in notes_of(make_trainer(data=data, model=linear()), TypeError):
        assert example in notes
    with pytest.raises(DataError) as caught:
        make_trainer("cross_entropy", data=data, model=linear()).fit()
    assert example in str(caught.value)

    def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return F.mse_loss(model(batch[inputs]), batch[labels]), {}

    make_trainer(loss_fn, data=data, model=linear()).fit()
