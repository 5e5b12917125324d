"""The order of endless loaders: fair, the same from the same start, and found again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from perceptrain import DictDataLoader, InfiniteTensorDataset, to_dataloader
from perceptrain.errors import DataError
from perceptrain_core.checkpoints.file import read_file, write_file

sizes = st.integers(1, 25)


def endless(rows: int, batch: int, own: bool = False, **options: Any) -> Any:
    generator = torch.Generator().manual_seed(9) if own else None
    return to_dataloader(
        torch.arange(rows), batch_size=batch, infinite=True, generator=generator, **options
    )


def take(iterator: Any, count: int) -> list[list[int]]:
    return [torch.as_tensor(batch[0]).tolist() for batch in islice(iterator, count)]


@given(rows=sizes, batch=sizes, shuffle=st.booleans(), drop_last=st.booleans())
def test_data_set_shows_every_row_before_any_twice(
    rows: int, batch: int, shuffle: bool, drop_last: bool
) -> None:
    x = torch.arange(rows)
    as_lists: dict[str, Any] = {"collate_fn": lambda parts: [[int(part[0]) for part in parts]]}
    options: dict[str, Any] = {"batch_size": batch, "infinite": True}
    combined = {"shuffle": shuffle, "drop_last": drop_last}
    for loader in (
        DataLoader(InfiniteTensorDataset(x), batch_size=batch, drop_last=drop_last),
        to_dataloader(x, **options, **combined),
        to_dataloader(x, **options, **combined, **as_lists),
    ):
        batches = take(iter(loader), -(-3 * rows // batch))
        assert all(len(one) == batch for one in batches)
        flat = [*chain.from_iterable(batches)]
        for start in (0, rows, 2 * rows):
            assert sorted(flat[start : start + rows]) == list(range(rows))


@pytest.mark.slow
@settings(max_examples=8)
@given(rows=st.integers(1, 12), batch=st.integers(1, 5), workers=st.integers(1, 2))
def test_workers_together_show_every_row_equally_often(rows: int, batch: int, workers: int) -> None:
    dataset = InfiniteTensorDataset(torch.arange(rows))
    loader = iter(DataLoader(dataset, batch_size=batch, num_workers=workers))
    seen: Counter[int] = Counter(dict.fromkeys(range(rows), 0))
    for _ in range(2 * rows):
        for one in take(loader, workers):  # one batch of each
            seen.update(one)
        assert max(seen.values()) - min(seen.values()) <= 1


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("collate_fn", [None, torch.utils.data.default_collate])
def test_the_start_decides_the_whole_order(own: bool, collate_fn: Any) -> None:
    def order(disturb: bool) -> list[list[int]]:
        torch.manual_seed(4)
        iterator = iter(endless(7, 3, own, collate_fn=collate_fn))
        batches = []
        for _ in range(20):
            batches += take(iterator, 1)
            if disturb:
                torch.rand(5)
        return batches

    assert order(False) == order(True)


def test_one_number_is_taken_of_the_default_generator() -> None:
    """A step costs no new order of the rows, however many there are."""
    torch.manual_seed(4)
    iterator = iter(endless(5, 2))
    untouched = torch.get_rng_state()
    next(iterator)
    state = torch.get_rng_state()
    assert not torch.equal(state, untouched)
    take(iterator, 50)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(4)
    torch.empty((), dtype=torch.int64).random_()
    assert torch.equal(torch.get_rng_state(), state)


@given(rows=sizes, batch=sizes, before=st.integers(0, 40), own=st.booleans())
def test_an_endless_loader_goes_on_from_its_place(
    rows: int, batch: int, before: int, own: bool
) -> None:
    loader = endless(rows, batch, own)
    iterator = iter(loader)
    take(iterator, before)
    state = loader.state_dict()
    expected = take(iterator, 30)
    if not before:
        assert state == {}
        return
    other = endless(rows, batch, own)
    other.load_state_dict(state)
    assert other.state_dict() == state
    again = iter(other)
    assert take(again, 10) == expected[:10]
    third = endless(rows, batch, own)  # a place found again is a place to save
    third.load_state_dict(other.state_dict())
    assert take(iter(third), 20) == expected[10:]


def test_a_place_survives_a_file(tmp_path: Path) -> None:
    loader = endless(100, 7)
    iterator = iter(loader)
    take(iterator, 20)
    path = write_file(tmp_path / "place.pt", loader.state_dict())
    assert path.stat().st_size < 20_000
    other = endless(100, 7)
    other.load_state_dict(read_file(path))
    assert take(iter(other), 30) == take(iterator, 30)


def test_the_place_is_that_of_the_latest_iterator() -> None:
    loader = endless(10, 2)
    first, second = iter(loader), iter(loader)
    take(second, 3)
    state = loader.state_dict()
    take(first, 1)
    assert loader.state_dict() == state
    loader.load_state_dict(state)
    assert take(iter(loader), 5) == take(second, 5)
    assert take(iter(loader), 5) != take(iter(loader), 5)  # a place is for one iterator


def test_another_batch_size_goes_on_at_the_same_row() -> None:
    loader = endless(12, 3)
    shown = take(iter(loader), 2)
    other = endless(12, 2)
    other.load_state_dict(loader.state_dict())
    rows = chain.from_iterable(shown + take(iter(other), 3))
    assert sorted(rows) == list(range(12))


def test_nothing_of_the_default_generator_is_taken_to_go_on() -> None:
    loader = endless(5, 2)
    take(iter(loader), 3)
    other = endless(5, 2)
    other.load_state_dict(loader.state_dict())
    state = torch.get_rng_state()
    take(iter(other), 10)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_place_among_other_rows() -> None:
    loader = endless(5, 2)
    next(iter(loader))
    with pytest.raises(DataError, match="data with 5 rows, and this loader has 6"):
        endless(6, 2).load_state_dict(loader.state_dict())


def test_a_finite_loader_has_no_place() -> None:
    loader = to_dataloader(torch.arange(4), shuffle=True)
    next(iter(loader))
    assert loader.state_dict() == {}
    loader.load_state_dict({})
    assert len(list(loader)) == 4


@pytest.mark.parametrize("finite", [False, True])
def test_dict_of_loaders_goes_on_from_their_places(finite: bool) -> None:
    def make() -> DictDataLoader:
        more = {"c": to_dataloader(torch.arange(4), batch_size=1)} if finite else {}
        return DictDataLoader({"a": endless(7, 2), "b": endless(5, 3), "list": [1, 2]} | more)

    def go(loader: DictDataLoader) -> list[Any]:
        return [{k: torch.as_tensor(v).tolist() for k, v in b.items()} for b in islice(loader, 4)]

    loader = make()
    go(loader)
    go(loader)
    state = loader.state_dict()
    assert set(state) == {"a", "b", "c"} if finite else {"a", "b"}
    expected = [go(loader), go(loader)]
    for other in (make(), loader):
        other.load_state_dict(state)
        assert [go(other), go(other)] == expected
    with pytest.raises(
        DataError,
        match="belong to the loaders a; here the loaders with a position are a, b",
    ):
        make().load_state_dict({"a": state["a"]})


def test_an_endless_loader_that_keeps_no_place_is_counted(tmp_path: Path) -> None:
    def make(rows: int = 7) -> DictDataLoader:
        stream = DataLoader(InfiniteTensorDataset(torch.arange(rows)), batch_size=2)
        return DictDataLoader({"stream": stream, "list": [1, 2, 3]})

    def go(loader: DictDataLoader) -> list[list[int]]:
        return [batch["stream"].tolist() for batch in loader]

    loader = make()
    assert loader.state_dict() == {"stream": {}}
    go(loader), go(loader)
    path = write_file(tmp_path / "place.pt", {"loader": loader.state_dict()})
    expected = [go(loader), go(loader)]
    other = make()
    before = torch.get_rng_state()
    other.load_state_dict(read_file(path)["loader"])
    assert [go(other), go(other)] == expected
    other.load_state_dict({"stream": {}})
    assert other.state_dict() == {"stream": {}}
    assert torch.equal(torch.get_rng_state(), before)


def test_an_endless_loader_that_ends_before_its_place() -> None:
    class Ending:
        infinite = True

        def __init__(self, batches: int) -> None:
            self.batches = batches

        def __iter__(self) -> Iterator[int]:
            return iter(range(self.batches))

    loader = DictDataLoader({"a": [1, 2, 3], "b": Ending(4)})
    list(loader)
    with pytest.raises(DataError, match="'b' has fewer batches than the 3 that were used"):
        DictDataLoader({"a": [1, 2, 3], "b": Ending(2)}).load_state_dict(loader.state_dict())
