from __future__ import annotations

import timeit
from statistics import median
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from perceptrain import to_dataloader
from perceptrain.errors import DataError
from perceptrain_core.data import TensorLoader

sizes = st.integers(1, 40)
flags = st.booleans()


def table(rows: int) -> tuple[Tensor, Tensor]:
    return torch.arange(float(rows)).reshape(-1, 1), torch.arange(rows)


@given(rows=sizes, batch=sizes, drop_last=flags)
def test_same_batches_as_a_data_loader(rows: int, batch: int, drop_last: bool) -> None:
    data = table(rows)
    ours = to_dataloader(*data, batch_size=batch, drop_last=drop_last)
    theirs = DataLoader(TensorDataset(*data), batch_size=batch, drop_last=drop_last)
    assert len(ours) == len(theirs)
    pairs = list(zip(ours, theirs, strict=True))
    assert len(pairs) == len(ours)
    for mine, other in pairs:
        assert type(mine) is tuple
        assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))


@given(rows=sizes, batch=sizes, seed=st.integers(0, 100))
def test_shuffled_pass_has_every_row_once_and_follows_the_seed(
    rows: int, batch: int, seed: int
) -> None:
    x, y = table(rows)

    def passes() -> list[Tensor]:
        generator = torch.Generator().manual_seed(seed)
        loader = to_dataloader(x, y, batch_size=batch, shuffle=True, generator=generator)
        taken = [list(loader) for _ in range(2)]
        assert all(torch.equal(a[:, 0].long(), b) for one in taken for a, b in one)
        return [torch.cat([labels for _, labels in one]) for one in taken]

    first = passes()
    assert all(torch.equal(order.sort().values, y) for order in first)
    assert all(torch.equal(a, b) for a, b in zip(first, passes(), strict=True))


def test_finite_loaders_can_be_shuffled_anew_at_each_pass() -> None:
    x, _ = table(200)
    torch.manual_seed(0)
    loader = to_dataloader(x, batch_size=10, shuffle=True)
    one, two = (torch.cat([b for (b,) in loader]) for _ in range(2))
    assert not torch.equal(one, two)
    assert not torch.equal(one, x)
    torch.manual_seed(0)
    assert torch.equal(torch.cat([b for (b,) in loader]), one)


def test_a_pass_is_in_order_by_default() -> None:
    x, _ = table(7)
    assert torch.equal(torch.cat([b for (b,) in to_dataloader(x, batch_size=3)]), x)


def test_infinite_loader_has_no_length() -> None:
    loader = to_dataloader(torch.zeros(3), infinite=True)
    with pytest.raises(TypeError, match="infinite"):
        len(loader)


def test_large_data_come_in_several_blocks() -> None:
    x = torch.arange(20_001)
    assert torch.equal(torch.cat([b for (b,) in to_dataloader(x, batch_size=7)]), x)
    shuffled = torch.cat([b for (b,) in to_dataloader(x, batch_size=7, shuffle=True)])
    assert torch.equal(shuffled.sort().values, x)


def test_it_is_a_data_loader() -> None:
    loader = to_dataloader(*table(10), batch_size=4)
    assert isinstance(loader, DataLoader)
    assert loader.batch_size == 4
    assert isinstance(loader.dataset, TensorDataset)
    assert loader.num_workers == 0


@pytest.mark.parametrize("infinite", [False, True])
def test_collate_fn_makes_the_batches(infinite: bool) -> None:
    def add_up(rows: list[Any]) -> Tensor:
        return torch.stack([x for x, _ in rows]).sum()

    x, y = table(8)
    loader = to_dataloader(x, y, batch_size=8, collate_fn=add_up, infinite=infinite)
    assert next(iter(loader)) == x.sum()


@pytest.mark.parametrize(
    ("tensors", "options", "message"),
    [
        ((), {}, "No data: pass at least one tensor"),
        ((torch.zeros(0, 2),), {}, r"empty: shapes \(0, 2\)"),
        ((torch.zeros(3), torch.zeros(4)), {}, r"first dimension.*\(3,\), \(4,\)"),
        ((torch.tensor(1.0),), {}, "first dimension"),
        (([1, 2],), {}, "Expected tensors, got list. Convert it first"),
        (((torch.zeros(3), torch.zeros(3)),), {}, r"one by one: to_dataloader\(\*data\)"),
        ((torch.zeros(3), 5), {}, r"got int. Pass options by name, .*batch_size=5\)"),
        ((torch.zeros(3),), {"batch_size": 0}, "batch_size=0: .*at least 1"),
        ((torch.zeros(3),), {"batch_size": True}, "batch_size=True: .*at least 1"),
        ((torch.zeros(3),), {"batch_size": 2.0}, "batch_size=2.0: .*at least 1"),
    ],
)
def test_errors(tensors: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        to_dataloader(*tensors, **options)


def test_batches_are_cut_much_faster_than_rows_are_collated() -> None:
    x, y = torch.randn(4000, 2), torch.randn(4000, 1)
    ours = TensorLoader(x, y, batch_size=32, shuffle=True)
    theirs = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
    ratios = []
    for _ in range(7):  # in turns, so that a slow moment slows both
        slow = timeit.timeit(lambda: list(theirs), number=1)
        ratios.append(slow / timeit.timeit(lambda: list(ours), number=1))
    assert median(ratios) > 2
