"""Counts that make no sense are refused; those that a loss drops or cannot know are reported."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import inf, nan
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from perceptrain import Counted, Trainer, WeightedLoss, get_loss
from perceptrain.errors import ConformanceError, DataError, LossContractError
from perceptrain.testing import check_loss
from perceptrain_core.counts import rows_of, why_unclear

MakeTrainer = Callable[..., Trainer]
Rows = tuple[Tensor, Tensor]

WRONG: dict[str, tuple[Any, Any, str]] = {
    "negative": (-1, None, r"The count is -1; expected a finite number of at least 0, or a 0-dim"),
    "nan": (nan, None, "The count is nan; expected"),
    "infinite": (torch.tensor(inf), None, "The count is inf; expected"),
    "vector": (torch.ones(3), None, r"The count is a tensor of shape \(3,\)"),
    "array": (np.ones(3), None, r"The count is a NumPy array of shape \(3,\)"),
    "text": ("5", None, "The count is an object of type str"),
    "flag": (True, None, "The count is True"),
    "of a metric": ({"mae": -2.0}, None, "The count of 'mae' is -2.0; expected"),
    "of the loss": ({"loss": nan}, None, "The count of 'loss' is nan"),
    "unknown": ({"mea": 3}, None, "a count named 'mea', .* The metrics are 'mae': .* or \"loss\""),
    "unknown term": ({"mae": 3}, {"mse": 1.0}, "a term named 'mse', and no metric has this name"),
    "weight": ({"mae": 3}, {"mae": nan}, "The weight of the term 'mae' is nan; expected a finite"),
}


def counted(count: Any, terms: Any) -> Any:
    def loss_fn(batch: Rows, model: nn.Module) -> Any:
        error = (model(batch[0]) - batch[1]).abs().mean()
        return error, Counted({"mae": error}, count, terms)

    return loss_fn


@pytest.mark.parametrize("case", WRONG)
def test_counts_that_make_no_sense(make_trainer: MakeTrainer, rows: Rows, case: str) -> None:
    count, terms, message = WRONG[case]
    loss_fn = counted(count, terms)
    with pytest.raises(LossContractError, match=message):
        make_trainer(loss_fn).fit()
    with pytest.raises(LossContractError, match=message):
        make_trainer(loss_fn).validate(rows)
    with pytest.raises(ConformanceError, match=message):
        check_loss(loss_fn, rows, nn.Linear(2, 1))


@pytest.mark.parametrize(
    ("count", "terms"),
    [
        (torch.tensor(3), None),
        (np.float64(2.5), None),
        (None, None),
        ({"loss": 2, "mae": None}, None),
        ({"mae": torch.tensor(2.0)}, {"mae": np.float32(1)}),
    ],
)
def test_counts_that_make_sense(
    make_trainer: MakeTrainer, rows: Rows, count: Any, terms: Any
) -> None:
    loss_fn = counted(count, terms)
    make_trainer(loss_fn, max_iter=1).fit()
    check_loss(loss_fn, rows, nn.Linear(2, 1))


def test_a_count_of_0_makes_sense_for_a_batch(make_trainer: MakeTrainer, rows: Rows) -> None:
    check_loss(counted(0.0, None), rows, nn.Linear(2, 1))
    with pytest.raises(DataError, match="nothing counted"):  # but not for all of them
        make_trainer(counted(0.0, None), max_iter=1).fit()


def test_counts_inside_a_weighted_loss(make_trainer: MakeTrainer) -> None:
    with pytest.raises(LossContractError, match="The count of 'mae' is -1"):
        make_trainer(WeightedLoss(counted({"mae": -1}, {"mae": 1.0}), "relobralo")).fit()


# A loss that wraps another and drops its counts.


def wrapped(inner: Any, keep: bool = False) -> Any:
    def loss_fn(batch: Any, model: nn.Module) -> Any:
        loss, metrics = inner(batch, model)
        more = {"twice": 2 * loss}
        return loss, metrics | more if keep else {**metrics, **more}

    return loss_fn


IGNORED = torch.tensor([0, 1, -100, -100, 1] * 2)
SUMS = {"name": "mse", "reduction": "sum"}


@pytest.mark.parametrize(
    ("loss", "labels", "what"),
    [
        ("cross_entropy", IGNORED, "the count 3"),
        ({"name": "cross_entropy", "accuracy": True}, IGNORED, "the count 3 of 'loss'"),
        (SUMS, torch.ones(10, 2), r"sums \(the count None\)"),
    ],
)
def test_counts_that_are_dropped(
    make_trainer: MakeTrainer, loss: Any, labels: Tensor, what: str
) -> None:
    data = torch.randn(10, 2), labels
    message = rf"A loss inside the loss returned {what}.*plain dict.*here 5\. .*metrics \| "
    name, options = (loss, {}) if isinstance(loss, str) else (loss["name"], dict(loss))
    options.pop("name", None)
    inner = get_loss(name, **options)

    def trainer(keep: bool, **settings: Any) -> Trainer:
        model = nn.Linear(2, 2)
        return make_trainer(wrapped(inner, keep), model=model, data=data, max_iter=1, **settings)

    with pytest.warns(UserWarning, match=message):
        trainer(keep=False).fit()
    with pytest.warns(UserWarning, match=message):
        trainer(keep=False).validate(data)
    trainer(keep=True).fit()
    trainer(keep=False, batch_size=10).fit()  # a single batch: no mean over batches
    assert Counted.made == []


def test_counts_that_are_dropped_inside_a_weighted_loss(make_trainer: MakeTrainer) -> None:
    loss = WeightedLoss(wrapped(get_loss("cross_entropy")), "relobralo")
    settings: dict[str, Any] = {"model": nn.Linear(2, 2), "max_iter": 1}
    with pytest.warns(UserWarning, match="A loss inside the loss returned the count 3"):
        make_trainer(loss, data=(torch.randn(10, 2), IGNORED), **settings).fit()


def test_counts_by_rows_may_be_dropped(make_trainer: MakeTrainer) -> None:
    make_trainer(wrapped(get_loss("mse"))).fit()


# Rows that are not certain.

X = torch.zeros(4, 2)


@pytest.mark.parametrize(
    ("batch", "rows"),
    [
        (X, 4),
        ((X, torch.zeros(4)), 4),
        ([X, torch.zeros(4)], 4),  # as torch's default collate stacks pairs
        ([X, X, X], 4),
        ([torch.zeros(3), torch.zeros(5), torch.zeros(3), torch.zeros(1)], 4),
        ([torch.tensor(1.0), torch.tensor(2.0)], 2),
        ([(torch.zeros(7), torch.tensor(1)), (torch.zeros(7), torch.tensor(0))], 2),
        ([(torch.zeros(7), torch.tensor(1))], 1),
        ([[X, X], [X, X]], 4),  # pairs of inputs and pairs of labels
        ({"a": X, "b": X}, 4),
        ({"a": X, "b": X[:1]}, 1),
        (X[:0], 0),
        ((X[:0], torch.zeros(0)), 0),
        (None, 1),
        ("text", 1),
    ],
)
def test_rows(batch: Any, rows: int) -> None:
    assert rows_of(batch) == rows


def of_parts(batch: Any, model: nn.Module) -> Any:
    parts = list(batch.values()) if isinstance(batch, dict) else batch
    return sum(model(part).square().mean() for part in parts) / len(parts), {}


def said(batch: Any, model: nn.Module) -> Any:
    loss, metrics = of_parts(batch, model)
    return loss, Counted(metrics, 1)


UNCLEAR = {
    "rows": ([X, X[:1], X[:3]], "a list of 3 tensors of different lengths counts as 3 rows"),
    "shapes": ([X, X, X, X, X], "a list of 5 tensors of one shape counts as 4 rows"),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_rows_that_are_unclear_are_reported_once(make_trainer: MakeTrainer, case: str) -> None:
    batch, message = UNCLEAR[case]
    settings: dict[str, Any] = {"model": nn.Linear(2, 1), "max_iter": 2}
    with pytest.warns(UserWarning, match=message) as caught:
        make_trainer(of_parts, data=[batch, batch], **settings).fit()
    assert len(caught) == 1
    assert "Counted({...}, number)" in str(caught[0].message)
    make_trainer(of_parts, data=[batch], **settings).fit()
    make_trainer(said, data=[batch, batch], **settings).fit()


def test_parts_whose_lengths_differ_from_batch_to_batch(make_trainer: MakeTrainer) -> None:
    settings: dict[str, Any] = {"model": nn.Linear(2, 1), "max_iter": 1}
    whole, last = {"a": X, "b": X[:1]}, {"a": X[:2], "b": X[:1]}
    make_trainer(of_parts, data=[whole, whole], **settings).fit()
    with pytest.warns(UserWarning, match="have 4 and 1 rows, then 2 and 1, count once each"):
        make_trainer(of_parts, data=[whole, whole, last], **settings).fit()
    make_trainer(said, data=[whole, last], **settings).fit()


def test_batches_of_torch_are_clear(make_trainer: MakeTrainer) -> None:
    columns = torch.randn(8, 2), torch.randn(8, 2), torch.randn(8, 3), torch.randn(8, 1)
    loader = DataLoader(TensorDataset(*columns), batch_size=3)
    assert why_unclear(next(iter(loader))) is None
    rows = DataLoader([(torch.zeros(2), 1)] * 4, batch_size=2, collate_fn=list)
    assert why_unclear(next(iter(rows))) is None


# Batches without rows.


def own(batch: Rows, model: nn.Module) -> Any:
    error = F.mse_loss(model(batch[0]), batch[1])
    return error, {"rmse": error.sqrt()}


def test_an_empty_batch_counts_for_nothing(make_trainer: MakeTrainer, rows: Rows) -> None:
    empty = rows[0][:0], rows[1][:0]
    trainer = make_trainer(own)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert trainer.validate([rows, empty]) == trainer.validate([rows])
    with pytest.raises(DataError, match=r"batch in epoch 1, batch 2 has no rows.*SkipBatch"):
        make_trainer(own, data=[rows, empty]).fit()
    skipping = make_trainer(own, data=[rows, empty], on_nonfinite="skip", max_iter=1)
    with pytest.warns(UserWarning, match="1 of 2 batches were skipped"):
        skipping.fit()
    assert skipping.history == history_of_rows(make_trainer, rows)


def history_of_rows(make_trainer: MakeTrainer, rows: Rows) -> Any:
    trainer = make_trainer(own, data=[rows], max_iter=1)
    trainer.fit()
    return trainer.history
