"""Checkpoints that a thread writes: the same promises, a little later."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from perceptrain import Trainer
from perceptrain.errors import CheckpointError
from perceptrain_core.checkpoints.file import read_file, write_file
from perceptrain_core.checkpoints.folder import list_checkpoints
from perceptrain_core.checkpoints.writer import CheckpointWriter

from ..shared import same

MakeTrainer = Callable[..., Trainer]


class Disk:
    """A disk that ends a write only when it is told to."""

    def __init__(self) -> None:
        self.reached, self.may_go_on = threading.Event(), threading.Event()

    def flush(self, descriptor: int) -> None:
        self.reached.set()
        assert self.may_go_on.wait(60)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    slow = Disk()
    monkeypatch.setattr(os, "fsync", slow.flush)
    yield slow
    slow.may_go_on.set()


def path_of(folder: Path, epoch: int) -> Path:
    return folder / f"checkpoint_epoch_{epoch:06d}.pt"


def test_training_goes_on_while_the_disk_is_busy(disk: Disk, tmp_path: Path) -> None:
    weights = torch.ones(3)
    with CheckpointWriter(background=True) as writer:
        writer.write(path_of(tmp_path, 1), {"weights": weights})
        assert disk.reached.wait(60)
        weights.zero_()
        assert list_checkpoints(tmp_path) == []
        disk.may_go_on.set()
    assert read_file(path_of(tmp_path, 1))["weights"].tolist() == [1, 1, 1]


def test_next_checkpoint_waits_before_it_copies(disk: Disk, tmp_path: Path) -> None:
    """There is never a second copy in memory."""
    writer, weights = CheckpointWriter(background=True), torch.ones(3)
    writer.write(path_of(tmp_path, 1), {"weights": weights})
    assert disk.reached.wait(60)
    second = threading.Thread(
        target=writer.write, args=(path_of(tmp_path, 2), {"weights": weights}, 1)
    )
    second.start()
    second.join(0.2)
    assert second.is_alive()
    weights.zero_()  # so what it copies, it copies later
    disk.may_go_on.set()
    second.join()
    writer.wait()
    assert read_file(path_of(tmp_path, 2))["weights"].tolist() == [0, 0, 0]
    assert list_checkpoints(tmp_path) == [path_of(tmp_path, 2)]


def test_without_background_it_is_there_at_once(tmp_path: Path) -> None:
    CheckpointWriter(background=False).write(path_of(tmp_path, 1), {"epoch": 1})
    assert read_file(path_of(tmp_path, 1))["epoch"] == 1


def fail(*_: Any) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("reports", ["write", "wait", "end"])
def test_failure_is_reported_later_in_the_same_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reports: str
) -> None:
    good = write_file(path_of(tmp_path, 1), {"epoch": 1})
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError) as expected:
        write_file(path_of(tmp_path, 2), {"epoch": 2})

    def run() -> None:
        with CheckpointWriter(background=True) as writer:
            writer.write(path_of(tmp_path, 2), {"epoch": 2}, keep=1)
            if reports == "write":
                writer.write(path_of(tmp_path, 3), {"epoch": 3})
            if reports == "wait":
                writer.wait()
            assert reports == "end"

    with pytest.raises(CheckpointError) as raised:
        run()
    assert str(raised.value) == str(expected.value)
    assert not getattr(raised.value, "__notes__", [])  # reported once
    assert list(tmp_path.iterdir()) == [good]


def test_failure_is_added_to_another_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", fail)

    def run() -> None:
        with CheckpointWriter(background=True) as writer:
            writer.write(path_of(tmp_path, 1), {})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as raised:
        run()
    assert "could not be written: [Errno 28] No space left" in raised.value.__notes__[0]


def test_state_that_cannot_be_copied_is_reported_at_once(tmp_path: Path) -> None:
    writer = CheckpointWriter(background=True)
    with pytest.raises(CheckpointError, match="could not be written: cannot pickle"):
        writer.write(path_of(tmp_path, 1), {"lock": threading.Lock()})


def test_checkpoint_by_hand_leaves_the_one_in_the_background_alone(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with CheckpointWriter(background=True) as writer:
        writer.write(path_of(tmp_path, 1), {"epoch": 1})
        assert disk.reached.wait(60)
        monkeypatch.undo()
        write_file(path_of(tmp_path, 2), {"epoch": 2})
        disk.may_go_on.set()
    assert [read_file(path)["epoch"] for path in list_checkpoints(tmp_path)] == [2, 1]


def test_run_writes_the_same_checkpoints(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def states(background: bool) -> list[Any]:
        torch.manual_seed(0)
        trainer = make_trainer(
            max_iter=4, checkpoint_every=1, keep_checkpoints=2, async_checkpoints=background, seed=1
        )
        trainer.fit()
        paths = list_checkpoints(trainer.log_folder)
        assert [path.name[-4] for path in paths] == ["4", "3"]
        found = [read_file(path) for path in paths]
        for state in found:
            del state["config"]  # which names the folder
        return found

    assert same(states(False), states(True))


def test_run_reports_a_write_that_failed(
    make_trainer: MakeTrainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trainer = make_trainer(max_iter=1, checkpoint_every=1, async_checkpoints=True)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(CheckpointError, match=r"could not be written: .*No space left"):
        trainer.fit()
    assert list_checkpoints(trainer.log_folder) == []


def test_checkpoint_of_a_stop_is_on_the_disk_before_it_is_announced(
    make_trainer: MakeTrainer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(
        "builtins.print", lambda text: seen.append((text, list_checkpoints(here())))
    )
    trainer = make_trainer(
        max_steps=2, checkpoint_every=9, async_checkpoints=True, verbose=True, progress=False
    )

    def here() -> Path:
        return trainer.log_folder

    monkeypatch.setattr(os, "fsync", lambda descriptor: threading.Event().wait(0.2))
    trainer.fit()
    ((text, found),) = [each for each in seen if "Saved as" in each[0]]
    assert len(found) == 1
    assert f"Saved as {found[0].name}" in text
