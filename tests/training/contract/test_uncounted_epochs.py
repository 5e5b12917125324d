"""Epochs, validations and tests in which nothing counts: an error, or a warning that names it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from math import isfinite, isnan
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import Counted, TrainConfig, Trainer, ValidationSets, WeightedLoss
from perceptrain.errors import DataError
from perceptrain_core.engine.launch import run_in_processes

X = torch.randn(12, 2, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)
SIZES = [4, 12]


def over_positive(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """A mean over the rows with a label above 0; 0 if there are none."""
    inputs, labels = batch
    errors = (model(inputs) - labels).where(labels > 0, 0.0)
    number = (labels > 0).sum()
    return errors.square().sum() / number.clamp(min=1), Counted({}, number)


def two_terms(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """Terms over the rows with labels above 0 and above 1."""
    errors = {str(least): model(batch[0])[batch[1] > least] for least in (0, 1)}
    terms = {name: e.square().sum() / max(len(e), 1) for name, e in errors.items()}
    counts = {name: len(e) for name, e in errors.items()}
    return sum(terms.values(), torch.zeros(())), Counted(terms, counts, dict.fromkeys(terms, 1.0))


def ignoring(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    """A sum, which counts even if it is 0."""
    loss, _ = over_positive(batch, model)
    return loss, Counted({}, None)


def trainer(loss: Any = over_positive, size: int = 4, epochs: int = 3, **options: Any) -> Trainer:
    config = TrainConfig(
        max_iter=epochs, batch_size=size, verbose=False, tracking_tool="none", **options
    )
    return Trainer(nn.Linear(2, 1), {"name": "sgd", "lr": 0.01}, config, loss)


CASES: dict[str, tuple[Any, Any]] = {
    "mask": (over_positive, (X, -Y.abs())),
    "terms": (two_terms, (X, -Y.abs())),
    "weights": ("mse", (X, Y, torch.zeros(12))),
    "weighting": (WeightedLoss(two_terms, "softadapt"), (X, -Y.abs())),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", CASES)
def test_training_data_of_which_nothing_counts_are_refused(case: str, size: int) -> None:
    loss, data = CASES[case]
    with pytest.raises(DataError, match=r"In epoch 1, nothing counted .* weights above 0\. Check"):
        trainer(loss, size).fit(data)


def test_labels_that_are_all_ignored_are_refused() -> None:
    config = TrainConfig(max_iter=1, verbose=False, tracking_tool="none", on_nonfinite="ignore")
    data = X, torch.full((12,), -100)
    with pytest.raises(DataError, match="nothing counted"):
        Trainer(nn.Linear(2, 3), "sgd", config, "cross_entropy", data).fit()


@pytest.mark.parametrize("size", SIZES)
def test_what_counts_or_is_a_sum_is_silent(size: int, recwarn: pytest.WarningsRecorder) -> None:
    some = -Y.abs()
    some[7] = 0.5  # of two terms, one counts, in one batch
    for loss in (over_positive, two_terms):
        trained = trainer(loss, size)
        trained.fit((X, some))
        assert all(isfinite(row["train_loss"]) for row in trained.history)
    trained = trainer(ignoring, size)
    trained.fit((X, -Y.abs()))
    assert trained.history[-1]["train_loss"] == 0
    assert not recwarn.list


class Fading:
    """Batches whose labels are above 0 in some epochs only."""

    def __init__(self, counted: list[bool]) -> None:
        self.counted = iter(counted)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        labels = Y.abs() if next(self.counted) else -Y.abs()
        return iter(zip(X.split(4), labels.split(4), strict=True))


def test_a_later_epoch_in_which_nothing_counts_is_reported_once() -> None:
    trained = trainer(epochs=4)
    with pytest.warns(UserWarning, match="In epoch 2, nothing counted") as caught:
        trained.fit(Fading([True, False, True, False]))
    assert len(caught) == 1
    losses = [row["train_loss"] for row in trained.history]
    assert [isnan(loss) for loss in losses] == [False, True, False, True]


def test_an_endless_stream_may_count_later(recwarn: pytest.WarningsRecorder) -> None:
    class Stream(torch.utils.data.IterableDataset[Any]):
        infinite = True

        def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
            while True:
                yield X, -Y.abs()
                yield X, Y.abs()

    trained = trainer(epochs=4)
    trained.fit(torch.utils.data.DataLoader(Stream(), batch_size=None))
    assert [isnan(row["train_loss"]) for row in trained.history] == [True, False, True, False]
    assert sum("nothing counted" in str(warning.message) for warning in recwarn.list) == 1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("every", [{"val_every": 1}, {"val_every_steps": 1}])
def test_a_validation_in_which_nothing_counts_is_reported_once(
    size: int, every: dict[str, int]
) -> None:
    trained = trainer(size=size, **every)
    reported = "val_loss is NaN: nothing counted in the loss of any batch"
    with pytest.warns(UserWarning, match=reported) as caught:
        trained.fit((X, Y.abs()), (X, -Y.abs()))
    assert len(caught) == 1
    assert all(isnan(row["val_loss"]) for row in trained.history)


def test_of_several_sets_the_one_in_which_nothing_counts_is_named() -> None:
    trained = trainer(val_every=1)
    sets = ValidationSets(good=(X, Y.abs()), bad=(X, -Y.abs()))
    with pytest.warns(UserWarning, match="set 'bad', has no loss, and val_bad_loss is") as caught:
        trained.fit((X, Y.abs()), sets)
    assert len(caught) == 1
    assert isfinite(trained.history[-1]["val_loss"])


@pytest.mark.parametrize("size", SIZES)
def test_a_test_in_which_nothing_counts_is_reported(size: int) -> None:
    with pytest.warns(UserWarning, match="The test has no loss, and test_loss is NaN"):
        rows = trainer(size=size).test((X, -Y.abs()))
    assert isnan(rows.means["test_loss"])


def in_processes() -> dict[str, Any]:
    """Fit data of which the rows of the second process alone count, then of which none do."""
    from perceptrain_core.engine import make_engine

    some = -Y.abs()
    some[1::2] = Y[1::2].abs()
    shares = [([(X[0::2], some[0::2])], [(X[1::2], some[1::2])]), ([(X, -Y.abs())],) * 2]
    rank = make_engine().rank
    found: dict[str, Any] = {}
    for name, share in zip(("some", "none"), shares, strict=True):
        loader: Any = share[rank]
        sampled = type("Share", (list,), {"sharded": True})(loader)
        fitted = trainer(epochs=2, val_every=1)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                fitted.fit(sampled, sampled)
            except DataError as error:
                found[f"{name}_error"] = str(error)
            data = type("Share", (list,), {"sharded": True})(loader)
            found[f"{name}_loss"] = fitted.validate(data)["val_loss"]
        found[f"{name}_warnings"] = [str(each.message) for each in caught]
    return {"both": make_engine().gather(found)}


def test_the_total_of_all_processes_decides(forked_workers: None) -> None:
    both = run_in_processes(in_processes, 2)["both"]
    for found in both:
        assert "some_error" not in found
        assert isfinite(found["some_loss"])
        assert "nothing counted" in found["none_error"]
        assert isnan(found["none_loss"])
        assert not any("nothing counted" in text for text in found["some_warnings"])
    reports = [sum("nothing counted" in t for t in found["none_warnings"]) for found in both]
    assert reports == [1, 0]


def test_a_mean_over_nothing_in_a_single_batch_is_not_the_best() -> None:
    model = nn.Linear(2, 3)
    with torch.no_grad():
        assert F.cross_entropy(model(X), torch.full((12,), -100)).isnan()
    with pytest.warns(UserWarning, match="val_loss is NaN"):
        row = trainer(size=12).validate((X, -Y.abs()))
    assert isnan(row["val_loss"])  # and not 0, as the loss of the batch
