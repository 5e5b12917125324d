"""What a data set function may return, and rows set aside and scaled."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, TensorDataset

from perceptrain_core.data.files.splits import Splits, as_splits, split_rows, standardize
from perceptrain_core.data.validation_sets import ValidationSets
from perceptrain_core.errors import DataError


def table(rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    numbers = torch.arange(rows)
    return torch.stack([numbers, -numbers], dim=1).float(), numbers


# What a function may return


def test_tensors_are_all_for_training():
    x, y = table(4)
    assert as_splits(x) == Splits(x)
    assert as_splits((x, y)) == Splits((x, y))
    assert as_splits([x, y]) == Splits((x, y))  # no training and validation data
    points = {"ode": x}
    assert as_splits(points) == Splits(points)


def test_loaders_in_their_order():
    loaders = [DataLoader(TensorDataset(*table(4))) for _ in range(3)]
    assert as_splits(loaders[0]) == Splits(loaders[0])
    assert as_splits(loaders) == Splits(*loaders)
    assert as_splits(tuple(loaders[:2])) == Splits(loaders[0], loaders[1])
    assert as_splits((loaders[0], None, loaders[2])) == Splits(loaders[0], None, loaders[2])
    parts = table(3), table(2)
    assert as_splits(parts) == Splits(*parts)


def test_data_sets_generators_and_splits():
    rows = TensorDataset(*table(4))
    assert as_splits((rows, rows)) == Splits(rows, rows)
    generator = iter([table(4)])
    assert as_splits(generator).train is generator
    splits = Splits(rows)
    assert as_splits(splits) is splits


@pytest.mark.parametrize(
    ("data", "given"),
    [
        (None, "NoneType"),
        ("digits", "str"),
        (3, "int"),
        ((), "tuple"),
        ((1, 2), "tuple of int"),
        ([[], [], [], []], "list"),
    ],
)
def test_anything_else_is_refused(data, given):
    with pytest.raises(DataError, match=f"returned {given}; expected a tuple of tensors"):
        as_splits(data)


def test_arrays_become_tensors():
    x = np.arange(6.0).reshape(3, 2)
    assert torch.equal(as_splits(x).train, torch.from_numpy(x))
    for data in ((x, x), [x, x], (torch.from_numpy(x), x)):
        first, second = as_splits(data).train
        assert first.dtype == torch.float64
        assert torch.equal(first, second)
    with pytest.raises(DataError, match="cannot become a tensor"):
        as_splits((x, np.array(["a", "b", "c"])))


def test_an_array_in_a_file_is_not_copied(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((3, 2)))
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert as_splits((x, np.ones(3))).train[0].data_ptr() == x.ctypes.data


def test_describe():
    x, y = table(4)
    assert Splits((x, y)).describe() == "train 4 rows"
    assert Splits(x, table(2), table(3)).describe() == "train 4 rows, val 2 rows, test 3 rows"
    assert Splits({"ode": x, "start": y}).describe() == "train 4 rows (ode) and 4 rows (start)"
    loader = DataLoader(TensorDataset(x, y), batch_size=3)
    assert Splits(loader, (b for b in loader)).describe() == "train 2 batches, val a loader"


# Rows set aside


@given(st.integers(1, 60), st.floats(0, 0.6), st.floats(0, 0.6), st.integers(0, 2**32))
def test_the_parts_are_a_partition(rows, val, test, seed):
    assume(val or test)
    sizes = round(rows * val), round(rows * test)
    fit = sum(sizes) < rows and (sizes[0] or not val) and (sizes[1] or not test)
    if not fit:
        with pytest.raises(DataError, match=f"{rows} rows cannot be split .* at least one row"):
            split_rows(Splits(table(rows)), val, test, seed)
        return
    splits = split_rows(Splits(table(rows)), val, test, seed)
    parts = [part for part in (splits.train, splits.val, splits.test) if part is not None]
    assert (splits.val is None, splits.test is None) == (not val, not test)
    assert [len(x) for x, _ in parts][1:] == [size for size in sizes if size]
    assert sorted(torch.cat([y for _, y in parts]).tolist()) == list(range(rows))
    for x, y in parts:  # inputs and labels of a row stay together
        assert torch.equal(x, torch.stack([y, -y], dim=1).float())


def test_the_seed_chooses_the_rows_and_nothing_else_is_touched():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first, again, other = (
        split_rows(Splits(table(50)), 0.2, 0.2, seed).train[1].tolist() for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert first == again != other
    assert first != sorted(first)


def test_no_fractions_leave_the_data_as_they_are():
    splits = Splits(iter(()))
    assert split_rows(splits, 0, 0, 0) is splits


def test_a_tensor_alone_can_be_split():
    splits = split_rows(Splits(torch.arange(10)), 0.2, 0, 0)
    assert [len(part[0]) for part in (splits.train, splits.val)] == [8, 2]


@pytest.mark.parametrize(
    "splits", [Splits({"ode": torch.ones(9, 1)}), Splits([1]), Splits(table(9), val=table(2))]
)
def test_what_cannot_be_split(splits):
    with pytest.raises(DataError, match="or are split already"):
        split_rows(splits, 0.3, 0, 0)


def test_tensors_of_different_length():
    with pytest.raises(DataError, match=r"differ in length: 9, 8\."):
        split_rows(Splits((torch.ones(9), torch.ones(8))), 0.3, 0, 0)


# Scaled


def test_inputs_are_scaled_by_the_training_rows_alone():
    rng = np.random.default_rng(0)
    train, val = rng.normal(5, 3, (40, 3)), rng.normal(50, 3, (10, 3))
    labels = torch.ones(40, 1), torch.ones(10, 1)
    splits = standardize(
        Splits((torch.tensor(train), labels[0]), (torch.tensor(val), labels[1]), None)
    )
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    np.testing.assert_allclose(splits.train[0], (train - mean) / deviation)
    np.testing.assert_allclose(splits.val[0], (val - mean) / deviation)
    assert splits.train[1] is labels[0]
    assert splits.test is None


@given(st.floats(-1e6, 1e6, width=32), st.integers(1, 300))
def test_a_constant_input_becomes_0(value, rows):
    x = torch.full((rows, 1), value)
    splits = standardize(Splits((x, x), val=(x + 1, x)))
    assert splits.train[0].dtype == torch.float32
    assert torch.equal(splits.train[0], torch.zeros(rows, 1))
    assert torch.equal(splits.val[0], (x + 1) - x)


def test_a_tensor_alone_can_be_scaled():
    (x,) = standardize(Splits(torch.tensor([[1.0], [3.0]]))).train
    assert x.tolist() == [[-1.0], [1.0]]


@pytest.mark.parametrize("train", [[1], {"ode": torch.ones(3, 1)}, (torch.arange(3),)])
def test_what_cannot_be_scaled(train):
    with pytest.raises(DataError, match="standardize needs tensors of rows, with floats"):
        standardize(Splits(train))


def test_several_validation_sets() -> None:
    sets = ValidationSets(clean=table(2), noisy=iter(()))
    splits = as_splits([table(4), sets])
    assert splits.val is sets
    assert splits.describe() == "train 4 rows, val 2 rows (clean) and a loader (noisy)"
