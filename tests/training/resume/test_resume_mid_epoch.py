"""A run that goes on between any two steps."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import chain, cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

from perceptrain import (
    Callback,
    Counted,
    DictDataLoader,
    InfiniteTensorDataset,
    Trainer,
    to_dataloader,
)
from perceptrain.callbacks import LRSchedulerCosineAnnealing, SaveCheckpoint
from perceptrain.errors import CheckpointError

from ...shared import noisy_net, same

MakeTrainer = Callable[..., Trainer]


class Augmented(TensorDataset):
    """Rows that are changed at random, by the generators of Python, NumPy and torch."""

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        x, y = super().__getitem__(index)
        return x + 0.1 * random.random() + 0.1 * np.random.rand() + 0.1 * torch.rand(2), y


class Shuffling:
    """A loader of a user's own."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[Any]:
        order = list(range(20))
        random.shuffle(order)
        for start in range(0, 20, 6):
            yield tuple(tensor[order[start : start + 6]] for tensor in self.rows)


def own() -> torch.Generator:
    return torch.Generator().manual_seed(11)


LOADERS: dict[str, Callable[[Any], Any]] = {
    "tensors": lambda rows: rows,
    "own generator": lambda rows: to_dataloader(*rows, batch_size=6, shuffle=True, generator=own()),
    "data loader": lambda rows: DataLoader(TensorDataset(*rows), batch_size=6, shuffle=True),
    "data loader, own generator": lambda rows: DataLoader(
        TensorDataset(*rows), batch_size=6, shuffle=True, generator=own()
    ),
    "augmented": lambda rows: DataLoader(Augmented(*rows), batch_size=6, shuffle=True),
    "with replacement": lambda rows: DataLoader(
        TensorDataset(*rows),
        batch_size=6,
        sampler=RandomSampler(range(20), replacement=True, generator=own()),
    ),
    "weighted": lambda rows: DataLoader(
        TensorDataset(*rows), batch_size=6, sampler=WeightedRandomSampler(range(1, 21), 20)
    ),
    "by the epoch": lambda rows: DataLoader(
        TensorDataset(*rows),
        batch_size=6,
        sampler=DistributedSampler(range(20), num_replicas=1, rank=0, shuffle=True),
    ),
    "infinite": lambda rows: to_dataloader(*rows, batch_size=6, infinite=True),
    "infinite, replayed": lambda rows: DataLoader(InfiniteTensorDataset(*rows), batch_size=6),
    "user's": Shuffling,
}

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulate": {"accumulate": 3},
    "clip": {"grad_clip": 0.05, "ema": 0.9, "lr_scheduler": {"name": "one_cycle", "max_lr": 0.1}},
}


def trainer_of(
    make_trainer: MakeTrainer,
    rows: Any,
    kind: str,
    folder: str,
    watch: tuple[Callback, ...] = (),
    **more: Any,
) -> Any:
    """A trainer that saves after each step; one that only resumes, in "again", saves little."""
    every = 100 if folder == "again" else 1
    cosine = LRSchedulerCosineAnnealing("train_batch_end", 1, t_max=12)
    settings: dict[str, Any] = {
        "model": noisy_net(),
        "optimizer": {"name": "adam", "lr": 0.02},
        "data": LOADERS[kind](rows),
        "val": rows,
        "val_every": 2,
        "batch_size": 6,
        "shuffle": True,
        "max_iter": 4,
        "seed": 5,
        "log_folder": folder,
        "callbacks": [cosine, SaveCheckpoint("train_batch_end", every), *watch],
        "keep_checkpoints": 0,
    }
    return make_trainer(**settings | more)


def assert_same(a: Trainer, b: Trainer) -> None:
    assert same(a.model, b.model)
    assert a.history == b.history
    assert (a.global_step, a.batches_seen) == (b.global_step, b.batches_seen)
    assert a.optimizer.param_groups[0]["lr"] == b.optimizer.param_groups[0]["lr"]


# Where the data stand and what steps keep are saved apart: no need of every pair.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        *((kind, "plain") for kind in LOADERS),
        *product(("tensors", "infinite"), ("accumulate", "clip")),
    ],
)
def test_from_every_step_it_ends_as_the_run_that_was_never_stopped(
    make_trainer: MakeTrainer, rows: Any, kind: str, settings: str
) -> None:
    whole = trainer_of(make_trainer, rows, kind, "whole", **SETTINGS[settings])
    whole.fit()
    places = sorted(whole.log_folder.glob("*.pt"))
    assert len(places) == whole.global_step
    for place in (*places[1::5], places[3]):  # within epochs, and at the end of one
        torch.rand(7), random.random(), np.random.rand()
        again = trainer_of(make_trainer, rows, kind, "again", **SETTINGS[settings])
        again.fit(resume=place)
        assert_same(whole, again)


@pytest.mark.slow
@pytest.mark.parametrize(("generator", "same"), [(None, True), (own, True), (own, False)])
def test_workers_that_stay_are_started_once(
    make_trainer: MakeTrainer, rows: Any, generator: Any, same: bool
) -> None:
    def trainer(folder: str) -> Any:
        data: Any = DataLoader(
            TensorDataset(*rows),
            batch_size=6,
            shuffle=True,
            num_workers=1,
            persistent_workers=True,
            generator=generator and generator(),
        )
        return trainer_of(make_trainer, rows, "tensors", folder, data=data, max_iter=3)

    whole = trainer("whole")
    whole.fit()
    places = sorted(whole.log_folder.glob("*.pt"))
    for number in (0, 3, 6):  # in the first epoch, at its end, and in the second
        again = trainer("again")
        if same:  # as in a notebook: its workers are there already
            next(iter(again.train_dataloader))
        again.fit(resume=places[number])
        assert_same(whole, again)


def residuals(batch: Any, model: nn.Module) -> Any:
    terms = {name: model(points).square().mean() for name, points in batch.items()}
    counts = {name: len(points) for name, points in batch.items()}
    return sum(terms.values()), Counted(terms, counts, dict.fromkeys(terms, 1.0))


@pytest.mark.slow
@pytest.mark.parametrize("endless", [(), ("edge",), ("inside", "edge")])
def test_points_of_several_loaders(
    make_trainer: MakeTrainer, rows: Any, endless: tuple[str, ...]
) -> None:
    finite = len(endless) < 2

    def points(name: str, rows: Any, batch_size: int) -> Any:
        options = {"infinite": True} if name in endless else {"shuffle": True}
        return to_dataloader(rows, batch_size=batch_size, **options)

    def noisy(batch: Any, model: nn.Module) -> Any:
        loss, terms = residuals(batch, model)
        return loss + 0 * torch.rand(()), terms

    def trainer(folder: str) -> Trainer:
        parts = {"inside": points("inside", rows[0], 4), "edge": points("edge", rows[0][:4], 2)}
        data, settings = DictDataLoader(parts), {"loss_fn": residuals, "val_every": 0, "val": None}
        return trainer_of(
            make_trainer,
            rows,
            "tensors",
            folder,
            max_iter=3 if finite else 9,
            data=data,
            **settings,
        )

    whole = trainer("whole")
    whole.fit()
    places = sorted(whole.log_folder.glob("*.pt"))
    for place in (*places[:3], *places[3::3]):
        again = trainer("again")
        again.fit(resume=place)
        assert_same(whole, again)


class Passes:
    """An endless loader of a user's own, which draws at each pass, and for each batch."""

    infinite = True

    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def __iter__(self) -> Iterator[Tensor]:
        while True:
            for part in self.rows[torch.randperm(len(self.rows))].split(6):
                yield part + 0.1 * torch.rand(2)


PLACELESS: dict[str, Callable[[Tensor], Any]] = {
    "cycle": lambda x: cycle(x.split(6)),
    "cycle of a loader": lambda x: cycle(DataLoader(x, batch_size=6, shuffle=True)),  # type: ignore[arg-type]
    "data set": lambda x: DataLoader(InfiniteTensorDataset(x), batch_size=6),
    "own generator": lambda x: DataLoader(
        InfiniteTensorDataset(x, generator=own()), batch_size=6, generator=own()
    ),
    "workers": lambda x: DataLoader(InfiniteTensorDataset(x), batch_size=6, num_workers=1),
    "user's": Passes,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "beside"),
    [*zip(PLACELESS, cycle(["finite", "endless", "several"])), ("cycle", "several")],
)
def test_an_endless_loader_that_keeps_no_place_goes_on(
    make_trainer: MakeTrainer, rows: Any, kind: str, beside: str
) -> None:
    def trainer(folder: str) -> Trainer:
        part = to_dataloader(
            rows[0], batch_size=6, infinite=beside == "endless", shuffle=beside != "endless"
        )
        parts = {"a": part, "b": PLACELESS[kind](rows[0])}
        if beside == "several":
            parts = {"inner": DictDataLoader(parts), "short": to_dataloader(rows[0], batch_size=9)}
        data = DictDataLoader(parts)
        return trainer_of(make_trainer, rows, "tensors", folder, data=data, **settings)

    def loss_fn(batch: Any, model: nn.Module) -> Any:
        loss, terms = residuals(batch.get("inner", batch), model)
        return loss + 0 * torch.rand(()), terms

    settings = {"loss_fn": loss_fn, "val": None, "val_every": 0, "max_iter": 3}
    whole = trainer("whole")
    whole.fit()
    places = sorted(whole.log_folder.glob("*.pt"))
    for place in {*places[:2], *places[5:6], places[-2]}:
        again = trainer("again")
        again.fit(resume=place)
        assert_same(whole, again)


def test_an_order_by_the_epoch_is_another_in_each(make_trainer: MakeTrainer, rows: Any) -> None:
    seen: list[Any] = []
    trainer = trainer_of(
        make_trainer, rows, "by the epoch", "one", callbacks=[], batch_size=20, max_iter=3
    )
    trainer.on_train_batch_start = lambda batch: seen.append(batch[0].tolist())  # type: ignore[method-assign]
    trainer.fit()
    epochs = [[*chain(*seen[start : start + 4])] for start in range(0, 12, 4)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert sorted(epochs[0]) == sorted(epochs[1])


def test_newest_is_the_one_with_the_most_batches(make_trainer: MakeTrainer, rows: Any) -> None:
    first = trainer_of(make_trainer, rows, "tensors", "one", checkpoint_every=1, max_iter=2)
    first.fit()
    names = sorted(path.name for path in first.log_folder.glob("*.pt"))
    assert names[:2] == [
        "checkpoint_epoch_000000_batch_000000001.pt",
        "checkpoint_epoch_000000_batch_000000002.pt",
    ]
    (first.log_folder / "checkpoint_epoch_000002.pt").unlink()
    seen: list[Any] = []
    again = trainer_of(
        make_trainer,
        rows,
        "tensors",
        "one",
        max_iter=2,
        watch=(Callback("train_epoch_start", 1, lambda t, c, w: seen.append("start")),),
    )
    again.fit(resume=True)
    assert again.history == first.history
    assert seen == []  # that epoch had started before


def test_the_start_of_an_epoch_is_told_once(make_trainer: MakeTrainer, rows: Any) -> None:
    first = trainer_of(make_trainer, rows, "tensors", "one", max_iter=1)
    first.fit()
    seen: list[int] = []
    start = Callback("train_epoch_start", 1, lambda t, c, w: seen.append(t.current_epoch))
    again = trainer_of(make_trainer, rows, "tensors", "one", watch=(start,), max_iter=3)
    again.fit(resume=first.log_folder / "checkpoint_epoch_000000_batch_000000002.pt")
    assert seen == [2, 3]


def test_fewer_data_than_had_been_taken(make_trainer: MakeTrainer, rows: Any) -> None:
    first = trainer_of(make_trainer, rows, "tensors", "one", max_iter=1)
    first.fit()
    place = first.log_folder / "checkpoint_epoch_000000_batch_000000004.pt"
    few = tuple(tensor[:12] for tensor in rows)
    with pytest.raises(CheckpointError, match="data differ: batches 4 then, 2 now; rows 20"):
        trainer_of(make_trainer, few, "tensors", "one").fit(resume=place)


def test_data_that_tell_nothing_and_end_too_early(make_trainer: MakeTrainer, rows: Any) -> None:
    batches = [tuple(part) for part in zip(*(tensor.split(6) for tensor in rows), strict=True)]

    class Ending:
        def __init__(self, number: int) -> None:
            self.number = number

        def __iter__(self) -> Iterator[Any]:
            return iter(batches[: self.number])

    first = trainer_of(make_trainer, rows, "tensors", "one", data=Ending(4), max_iter=1)
    first.fit()
    place = first.log_folder / "checkpoint_epoch_000000_batch_000000004.pt"
    with pytest.raises(CheckpointError, match="fewer batches than the 4 that the run has consumed"):
        trainer_of(make_trainer, rows, "tensors", "one", data=Ending(3)).fit(resume=place)


@pytest.mark.parametrize("stage", [None, "train_batch_end"])
def test_without_one_that_saves_nobody_asks_for_the_place(
    make_trainer: MakeTrainer, stage: str | None
) -> None:
    callbacks = [Callback(stage, 1, lambda t, c, w: None)] if stage else []
    trainer = make_trainer(callbacks=callbacks)

    def step(*args: Any, **options: Any) -> Any:
        trainer.state_dict()

    trainer.optimize_step = step
    with pytest.raises(CheckpointError, match=r'add SaveCheckpoint\(on="train_batch_end"\)'):
        trainer.fit()


@pytest.mark.parametrize("resume", [True, "folder"])
def test_the_settings_can_ask_for_it(make_trainer: MakeTrainer, here: Path, resume: Any) -> None:
    first = make_trainer(max_iter=2, checkpoint_every=1)
    first.fit()
    source = True if resume is True else first.log_folder
    again = make_trainer(max_iter=3, checkpoint_every=1, resume=source)
    again.fit()
    assert again.history[:2] == first.history
    assert len(again.history) == 3
