"""A loader of torchdata resumes at its place; data that have been used are not read again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from perceptrain import FFNN, TrainConfig, Trainer
from perceptrain.callbacks import SaveCheckpoint

stateful_dataloader = pytest.importorskip("torchdata.stateful_dataloader")
pytestmark = [
    pytest.mark.filterwarnings("ignore:'set_vital' is deprecated"),
    pytest.mark.usefixtures("forked_workers"),
]


class Recorded(Dataset[Tensor]):
    """Rows that note when they are read."""

    def __init__(self, read: list[int]) -> None:
        self.read = read

    def __len__(self) -> int:
        return 23

    def __getitem__(self, row: int) -> Tensor:
        self.read.append(row)
        return torch.tensor([float(row)])


class Stream(IterableDataset[Tensor]):
    """Each process reads its own rows, and keeps its place among them."""

    sharded = True

    def __init__(self) -> None:
        self.next = 0

    def __iter__(self) -> Any:
        rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        while self.next < 23 - rank:
            row, self.next = self.next + rank, self.next + processes
            yield torch.tensor([float(row)])
        self.next = 0

    def state_dict(self) -> dict[str, Any]:
        return {"next": self.next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.next = state["next"]


def train(folder: Path, make: Callable[[], Any], resume: Any = False, **changes: Any) -> Trainer:
    torch.manual_seed(1)
    model = FFNN([1, 4, 1], torch.nn.Dropout(0.5))

    def loss(batch: Tensor, model: Any) -> Any:
        return (model(batch / 23) - batch).square().mean(), {"row": batch.mean()}

    settings: dict[str, Any] = {"max_iter": 2, "tracking_tool": "none", "verbose": False}
    saving = SaveCheckpoint("train_batch_end", called_every=1)
    config = TrainConfig(**(settings | changes), root_folder=folder, seed=2, callbacks=[saving])
    trainer = Trainer(model, {"name": "adam", "lr": 0.01}, config, loss)
    trainer.fit(make(), resume=resume)
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "steps"), [(0, 3), (0, 6), (0, 8), (2, 3)])
def test_it_ends_as_the_run_that_was_never_stopped(
    tmp_path: Path, workers: int, steps: int
) -> None:
    read: list[int] = []

    def make() -> Any:
        return stateful_dataloader.StatefulDataLoader(
            Recorded(read), batch_size=4, shuffle=True, num_workers=workers
        )

    whole = train(tmp_path / "whole", make)
    stopped = train(tmp_path / "stopped", make, max_steps=steps)
    assert isinstance(stopped.log_folder, Path)
    read.clear()
    resumed = train(tmp_path / "stopped", make, resume=True)
    assert resumed.history == whole.history
    assert len(read) == (0 if workers else 2 * 23 - min(4 * steps, 23) - max(0, 4 * (steps - 6)))


@pytest.mark.slow
def test_the_same_batches_as_a_loader_of_torch(tmp_path: Path) -> None:
    for kind in (DataLoader, stateful_dataloader.StatefulDataLoader):
        make = lambda kind=kind: kind(Recorded([]), batch_size=4)  # noqa: E731
        trained = train(tmp_path / kind.__name__, make, nprocs=2, max_iter=1)
        assert trained.global_step == 3
        assert trained.history[0]["train_row"] == pytest.approx(11.0)


@pytest.mark.slow
def test_a_share_of_its_own_in_each_process(tmp_path: Path) -> None:
    make = lambda: stateful_dataloader.StatefulDataLoader(Stream(), batch_size=4)  # noqa: E731
    whole = train(tmp_path / "whole", make, nprocs=2)
    assert whole.global_step == 6
    assert whole.history[0]["train_row"] == pytest.approx(11.0)
    train(tmp_path / "stopped", make, nprocs=2, max_steps=2)
    resumed = train(tmp_path / "stopped", make, nprocs=2, resume=True)
    assert resumed.history == whole.history


def test_a_pass_ends_everywhere_when_it_ends_in_one_process(tmp_path: Path) -> None:
    class Uneven(IterableDataset[Tensor]):
        sharded = True

        def __iter__(self) -> Any:
            rank = int(os.environ["RANK"])
            return iter(torch.full((8 + 4 * rank, 1), float(rank)))

    trained = train(tmp_path, lambda: DataLoader(Uneven(), batch_size=4), nprocs=2)
    assert trained.global_step == 4
    assert trained.history[0]["train_row"] == pytest.approx(0.5)
