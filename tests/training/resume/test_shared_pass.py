"""Each process is simulated here, with a position of its own; then three runs with processes."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    IterableDataset,
    RandomSampler,
    SubsetRandomSampler,
    TensorDataset,
)

from perceptrain import FFNN, TrainConfig, Trainer, to_dataloader
from perceptrain.callbacks import SaveCheckpoint
from perceptrain.data import DictDataLoader
from perceptrain.errors import CheckpointError, DataError
from perceptrain_core.data import Epochs, as_loader
from perceptrain_core.engine.sharding import shard_loader
from perceptrain_core.training.resume.data_position import DataPosition

pytestmark = pytest.mark.usefixtures("forked_workers")

#: Creates a loader of rows; with a batch size, and whether the last batch is left out.
Make = Callable[[Tensor, int, bool], Any]


class Rows(IterableDataset[Tensor]):
    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def __iter__(self) -> Any:
        return iter(self.rows[torch.randperm(len(self.rows))])


BY_ROWS: dict[str, Make] = {
    "tensors": lambda x, b, d: to_dataloader(x, batch_size=b, drop_last=d),
    "shuffled tensors": lambda x, b, d: to_dataloader(x, batch_size=b, drop_last=d, shuffle=True),
    "named tensors": lambda x, b, d: as_loader({"x": x, "y": x}, b, True, drop_last=d),
    "shuffled": lambda x, b, d: DataLoader(TensorDataset(x), b, shuffle=True, drop_last=d),
    "own generator": lambda x, b, d: DataLoader(
        TensorDataset(x), b, True, drop_last=d, generator=torch.Generator().manual_seed(3)
    ),
    "sampler": lambda x, b, d: DataLoader(
        TensorDataset(x), b, sampler=SubsetRandomSampler(range(len(x))), drop_last=d
    ),
}
BY_BATCHES: dict[str, Make] = {
    "batch sampler": lambda x, b, d: DataLoader(
        TensorDataset(x), batch_sampler=BatchSampler(RandomSampler(x), b, d)
    ),
    "list": lambda x, b, d: list(x.split(b)),
    "iterable": lambda x, b, d: DataLoader(Rows(x), b, drop_last=d),
}


def positions(make: Callable[[], Any], world_size: int, seed: int) -> list[DataPosition]:
    """The positions of processes; their own random numbers differ, the drawn one does not."""

    def share(rank: int) -> Any:
        torch.manual_seed(100 * seed + rank)
        loader = make()
        if world_size == 1:
            return loader
        return shard_loader(loader, rank, world_size, True, lambda generator: seed)

    return [DataPosition(Epochs(share(r)), anchored=True) for r in range(world_size)]


def take(places: list[DataPosition], steps: int | None) -> list[list[float]]:
    """Take steps in all processes; return the rows of each process."""
    taken: list[list[float]] = []
    for place in places:
        rows: list[float] = []
        for step, (batch,) in enumerate(place.steps(), 1):
            x = batch["x"] if isinstance(batch, dict) else batch
            rows += (x[0] if isinstance(x, tuple | list) else x).flatten().tolist()
            if step == steps:
                break
        taken.append(rows)
    return taken


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*BY_ROWS, *BY_BATCHES])
@settings(max_examples=12)
@given(data=st.data())
def test_each_row_is_used_once(kind: str, data: st.DataObject) -> None:
    """By any number of processes after any other, and a third after these."""
    draw = data.draw
    rows = torch.arange(float(draw(st.integers(1, 40), label="rows")))
    by_rows, drop_last = kind in BY_ROWS, draw(st.booleans(), label="drop_last")
    make = (BY_ROWS | BY_BATCHES)[kind]
    used: Counter[float] = Counter()
    size = draw(st.integers(1, 5), label="batch_size")
    saved: Any = None
    most, step = 1, 1
    for phase in range(3):
        processes = draw(st.integers(1, 4), label="processes")
        most = max(most, processes)
        if by_rows:
            size = draw(st.integers(1, 5), label="batch_size")
        step = max(step, processes * size)
        try:
            places = positions(lambda size=size: make(rows, size, drop_last), processes, phase + 1)
        except DataError:  # drop_last leaves no batch
            return
        if saved is not None:
            for place in places:
                place.continue_pass(saved)
        left = places[0].batches_of_epoch
        done = places[0].batch
        steps = None if phase == 2 else draw(st.integers(1, 3), label="steps")
        taken = take(places, steps)
        assert len({place.batch for place in places}) == 1
        used.update(row for own in taken for row in own)
        if left is not None and (steps is None or places[0].batch < done + steps):
            assert places[0].batch == left
        if not places[0].batch:
            break
        saved = places[0].state_dict()
    whole = rows.tolist()
    assert set(used) <= set(whole)
    if not drop_last:
        assert set(used) == set(whole)
    else:
        assert len(whole) - len(used) < step  # the rows that fill no step
    # A row or batch is repeated only where one is missing for a process in the last step.
    missing = 0 if drop_last and by_rows else (most - 1) * (1 if by_rows else size)
    assert used.total() - len(used) <= missing


@pytest.mark.parametrize("kind", [*BY_ROWS, *BY_BATCHES])
@pytest.mark.parametrize(("then", "now"), [(1, 3), (2, 1), (2, 3), (4, 2)])
def test_it_is_the_rest_of_the_same_order(kind: str, then: int, now: int) -> None:
    """What a run of as many processes as before would have used."""
    rows = torch.arange(24.0)
    make = lambda: (BY_ROWS | BY_BATCHES)[kind](rows, 2, False)  # noqa: E731
    first = positions(make, then, 5)
    begun = take(first, 1)
    saved = first[0].state_dict()
    rest = positions(make, now, 6)
    for place in rest:
        place.continue_pass(saved)
    whole = take(positions(make, then, 5), None)
    for process, own in zip(begun, whole, strict=True):
        assert process == own[: len(process)]
    left = {row for own, process in zip(whole, begun, strict=True) for row in own[len(process) :]}
    found = {row for own in take(rest, None) for row in own}
    assert found >= left
    assert len(found - left) < now  # repeated rows
    assert len(left) == 24 - 2 * then


def test_an_epoch_that_was_continued_is_resumed_by_as_many() -> None:
    make = lambda: BY_ROWS["shuffled"](torch.arange(40.0), 2, False)  # noqa: E731
    first = positions(make, 2, 5)
    used = take(first, 3)
    second = positions(make, 3, 6)
    for place in second:
        place.continue_pass(first[0].state_dict())
    used += take(second, 2)
    saved = [place.state_dict() for place in second]
    again = positions(make, 3, 7)
    for place, own in zip(again, saved, strict=True):
        place.load_state_dict(own)
    assert [place.batch for place in again] == [5, 5, 5]
    assert again[0].batches_of_epoch == 5 + 3
    used += take(again, None)
    assert sorted(row for own in used for row in own) == list(range(40))


class Run:
    """Training runs whose loss records the rows that it sees."""

    def __init__(self, folder: Path, data: Callable[[], Any]) -> None:
        self.folder, self.data = folder, data

    def train(self, processes: int, resume: Any = False, **changes: Any) -> Any:
        model = FFNN([1, 1])
        folder = self.folder

        def loss(batch: Any, model: Any) -> Any:
            x = batch["x"] if isinstance(batch, dict) else batch
            x = x[0] if isinstance(x, tuple | list) else x
            with (folder / f"rows-{os.getpid()}").open("a") as file:
                file.write("".join(f"{row:g}\n" for row in x.flatten().tolist()))
            return (model(x.float().reshape(-1, 1) / 24) - 1).square().mean(), {"row": x.mean()}

        plain = {"max_iter": 1, "verbose": False, "tracking_tool": "none", "root_folder": folder}
        saving = SaveCheckpoint("train_batch_end", called_every=1)
        config = TrainConfig(
            **(plain | changes),
            nprocs=processes,
            batch_size=2,
            callbacks=[saving],
            seed=2,
        )
        trainer = Trainer(model, {"name": "sgd", "lr": 0.01}, config, loss)
        trainer.fit(self.data(), resume=resume)
        return trainer

    def rows(self) -> list[float]:
        """The rows since they were last asked for."""
        found = []
        for path in self.folder.glob("rows-*"):
            found += [float(line) for line in path.read_text().splitlines()]
            path.unlink()
        return sorted(found)


def resume_elsewhere(
    run: Run, processes: int, saved: Path, capfd: Any, **changes: Any
) -> tuple[Trainer, str]:
    """Resume in another number of processes; return the trainer and what was warned of."""
    capfd.readouterr()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trainer = run.train(processes, resume=saved, **changes)
    told = "".join(str(warning.message) for warning in caught) + capfd.readouterr().err
    assert f"{processes} now: the data are shared anew" in told
    return trainer, told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "then", "now"), [("tensors", 3, 2), ("loader", 2, 1), ("list", 1, 2)]
)
def test_runs_with_processes(tmp_path: Path, capfd: Any, kind: str, then: int, now: int) -> None:
    x = torch.arange(23.0).reshape(-1, 1)
    data: dict[str, Callable[[], Any]] = {
        "tensors": lambda: x,
        "loader": lambda: DataLoader(TensorDataset(x), 2, shuffle=True),
        "list": lambda: list(x.split(2)),
    }
    run = Run(tmp_path, data[kind])
    whole = run.train(then)
    assert set(run.rows()) == set(x.flatten().tolist())
    other = Run(tmp_path / "other", data[kind])
    other.folder.mkdir()
    stopped = other.train(then, max_steps=2)
    begun = other.rows()
    assert len(begun) == 2 * then * 2
    saved = max(stopped.log_folder.glob("*.pt"))
    resumed, told = resume_elsewhere(other, now, saved, capfd)
    assert (f"use {2 * now} rows instead of {2 * then}" in told) == (kind != "list")
    rest = other.rows()
    assert set(begun) | set(rest) == set(x.flatten().tolist())
    assert len(begun) + len(rest) == 23
    assert len(resumed.history) == 1
    # The averages are those of all rows, before and after.
    assert resumed.history[0]["train_row"] == pytest.approx(whole.history[0]["train_row"], rel=1e-6)


def test_what_other_processes_cannot_continue_is_refused(tmp_path: Path) -> None:
    def data() -> Any:
        x = torch.arange(24.0)
        return DictDataLoader({"x": to_dataloader(x, batch_size=2), "y": [x]})

    run = Run(tmp_path, data)
    stopped = run.train(1, max_steps=2)
    saved = max(stopped.log_folder.glob("*.pt"))
    with pytest.raises(CheckpointError, match="by 1 process, and there are 2 now, which cannot"):
        run.train(2, resume=saved, max_steps=None)


def test_an_endless_order_goes_on(tmp_path: Path, capfd: Any) -> None:
    x = torch.arange(24.0).reshape(-1, 1)
    run = Run(tmp_path, lambda: to_dataloader(x, batch_size=2, infinite=True))
    stopped = run.train(1, max_iter=4)
    begun = run.rows()
    saved = max(stopped.log_folder.glob("*.pt"))
    resumed, _ = resume_elsewhere(run, 2, saved, capfd, max_iter=8)
    assert len(resumed.history) == 8
    found = Counter(begun + run.rows())
    assert found.total() == 4 * 2 + 4 * 4 == 24
    assert sorted(found) == x.flatten().tolist()
