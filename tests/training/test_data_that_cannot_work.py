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

from perceptrain import FFNN, Trainer, to_dataloader
from perceptrain.errors import DataError, NonFiniteLossError

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
        ([Table(), Table()], "It holds Table: pass one for training and one for validation"),
        ([Rowless(), Rowless()], "It holds Rowless: pass one for training"),
        (np.ma.masked_greater(X.numpy(), 0.5), r"\(20, 1\) has 9 masked values.*x.filled\(0.0\)"),
        (X.to("meta"), "on the device 'meta' has no values"),
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


def test_a_masked_array_without_masked_values_is_an_array(make_trainer: MakeTrainer) -> None:
    x = np.ma.masked_greater(X.numpy(), 5.0)
    make_trainer(data=(x, Y), model=linear()).fit()


@pytest.mark.parametrize(
    ("train", "val", "val_every"),
    [(X.expand(20, 2), Y, 0), (X.expand(20, 2), Y, 1), (X.numpy(), Y.numpy(), 0)],
)
def test_labels_passed_as_validation_data(
    make_trainer: MakeTrainer, train: Any, val: Any, val_every: int
) -> None:
    trainer = make_trainer(model=linear(), val_every=val_every)
    with pytest.raises(DataError, match=r"inputs and labels, pass them together: fit\(\(x, y\)\)"):
        trainer.fit(train, val)


@pytest.mark.parametrize("val", [X[:5], X + 1])
def test_inputs_alone_for_training_and_validation(make_trainer: MakeTrainer, val: Tensor) -> None:
    def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return model(batch[0]).square().mean(), {}

    trainer = make_trainer(loss_fn, model=linear(), val_every=1)
    trainer.fit(X, val)
    assert "val_loss" in trainer.history[0]


@pytest.mark.parametrize("kind", [list, tuple])
def test_two_tables_that_may_be_meant_for_training_and_validation(
    make_trainer: MakeTrainer, kind: type
) -> None:
    trainer = make_trainer(data=kind([(X, Y), (X[:12], Y[:12])]), model=linear(), batch_size=8)
    with pytest.warns(UserWarning, match=r"one batch, of 20 and 12 rows, although batch_size=8"):
        trainer.fit()


@pytest.mark.parametrize("batch_size", [1, 20])
def test_two_pairs_that_are_batches(make_trainer: MakeTrainer, batch_size: int) -> None:
    trainer = make_trainer(data=[(X, Y), (X, Y)], model=linear(), batch_size=batch_size)
    trainer.fit()
    assert trainer.batches_seen == 2 * trainer.config.max_iter


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
        assert f"The setting dtype={own} casts" in notes
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


def test_a_last_batch_of_one_row_and_a_batch_norm(make_trainer: MakeTrainer) -> None:
    model = nn.Sequential(nn.BatchNorm1d(1), nn.Linear(1, 1))
    trainer = make_trainer(data=(X[:17], Y[:17]), model=model, batch_size=8)
    with pytest.raises(ValueError, match="more than 1 value per channel") as caught:
        trainer.fit()
    note, place = caught.value.__notes__
    assert "in epoch 1, batch 3, on a batch of 1 row." in note
    assert "drop_last=True" in note
    assert "the layer '0', BatchNorm1d(" in place
    data = to_dataloader(X[:17], Y[:17], batch_size=8, drop_last=True)
    make_trainer(data=data, model=model).fit()


class Wave(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.polar(torch.ones_like(x), self.linear(x))


@pytest.mark.parametrize("loss", ["mse", "huber", "quantile"])
def test_complex_outputs(make_trainer: MakeTrainer, loss: str) -> None:
    with pytest.raises(DataError, match=r"complex64 .* torch.float32; .*torch.view_as_real"):
        make_trainer(loss, data=(X, Y), model=Wave()).fit()
    with pytest.raises(RuntimeError) as caught:
        make_trainer(loss, data=(X, torch.complex(X, Y)), model=Wave()).fit()
    assert "e.g. torch.view_as_real of both, or use l1" in " ".join(caught.value.__notes__)
    make_trainer("l1", data=(X, torch.complex(X, Y)), model=Wave()).fit()


def test_an_error_of_the_loss_shows_the_batch(make_trainer: MakeTrainer) -> None:
    def loss_fn(batch: Any, model: nn.Module) -> Any:
        inputs, _, weights = batch
        return weights * model(inputs).mean(), {}

    with pytest.raises(ValueError, match="not enough values to unpack") as caught:
        make_trainer(loss_fn, data=[(X[:4], Y[:4])], model=linear()).fit()
    shape = "a tensor of shape (4, 1) and dtype torch.float32"
    assert caught.value.__notes__ == [f"The batch is a tuple of {shape}, {shape}."]


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_values_that_are_not_finite_are_counted(make_trainer: MakeTrainer, value: float) -> None:
    x = X.clone()
    x[3] = value
    with pytest.raises(NonFiniteLossError) as caught:
        make_trainer(data=[(x, Y)], model=linear()).fit()
    (note,) = caught.value.__notes__
    assert note.startswith("The batch itself has 1 value that is NaN or infinite, in its tensor 1")


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


def test_a_loss_that_does_not_unpack_a_batch_without_labels(make_trainer: MakeTrainer) -> None:
    def loss_fn(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Any]]:
        return model(batch).square().mean(), {}

    trainer = make_trainer(loss_fn, data=to_dataloader(X, batch_size=5), model=linear())
    for notes in notes_of(trainer, TypeError):
        assert "The batch is a tuple of 1 element, as loaders of one tensor yield." in notes
        assert "unpack it there: (x,) = batch." in notes
    make_trainer(loss_fn, data=to_dataloader(X, batch_size=5), model=FFNN([1, 4, 1])).fit()
