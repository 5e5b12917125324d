"""Disks that are full, bits that flip, writers that are killed: nothing is lost, all is told."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import torch

from perceptrain import TrainConfig
from perceptrain.errors import CheckpointError
from perceptrain_core.checkpoints.file import read_file, write_file
from perceptrain_core.checkpoints.folder import (
    list_checkpoints,
    newest_run_folder,
    read_newest,
    rotate,
)

posix = pytest.mark.skipif(os.name != "posix", reason="as POSIX does it")


class SmallDisk(io.FileIO):
    """A file on a disk with room for so many bytes."""

    room = 0

    def write(self, content: Any) -> int:
        data = bytes(content)[: self.room]
        type(self).room -= len(data)
        super().write(data)
        if len(data) < len(content):
            raise OSError(errno.ENOSPC, "No space left on device")
        return len(data)


def test_disk_that_is_full_after_any_number_of_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_file(tmp_path / "checkpoint_epoch_000001.pt", {"weights": torch.ones(9)})
    before, size = path.read_bytes(), path.stat().st_size
    monkeypatch.setattr(Path, "open", lambda self, mode: SmallDisk(self, mode))
    for room in range(0, size, 3):
        SmallDisk.room = room
        with pytest.raises(CheckpointError, match=r"written: \[Errno 28\] No space left on device"):
            write_file(path, {"weights": torch.zeros(9)})
        assert os.listdir(tmp_path) == [path.name]
        assert path.read_bytes() == before
    SmallDisk.room = size
    write_file(path, {"weights": torch.zeros(9)})
    assert not read_file(path)["weights"].any()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no right to mount; the disk above is full in the same way")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_disk_that_is_really_full(small_disk: Path) -> None:
    path = write_file(small_disk / "checkpoint_epoch_000001.pt", {"weights": torch.ones(5000)})
    later = small_disk / "checkpoint_epoch_000002.pt"
    for rows in (12_000, 15_000, 20_000, 10**6):
        with pytest.raises(CheckpointError, match="No space left on device"):
            write_file(later, {"weights": torch.zeros(rows)})
    assert os.listdir(small_disk) == [path.name]
    assert read_file(path)["weights"].all()


@pytest.mark.slow
def test_wrong_bit_anywhere(tmp_path: Path) -> None:
    """It is noticed, or it is where it changes nothing; torch itself would load wrong weights."""
    state = {"weights": torch.arange(50.0), "epoch": 7}
    path = write_file(tmp_path / "a.pt", state)
    good = path.read_bytes()
    noticed = 0
    for place in range(0, len(good), 3):
        content = bytearray(good)
        content[place] ^= 16
        path.write_bytes(content)
        try:
            back = read_file(path)
        except CheckpointError:
            noticed += 1
        else:
            assert torch.equal(back["weights"], state["weights"]), place
            assert back["epoch"] == 7, place
    assert noticed >= 200 / 3  # the weights alone


@posix
def test_what_killed_writers_left_is_cleared_and_what_others_write_is_not(tmp_path: Path) -> None:
    dead = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = [
        f".checkpoint_epoch_000003_batch_000000001.pt.{int(dead.stdout)}",
        f".checkpoint_best.pt.{os.getpid()}",  # of an earlier process with our number
        f".checkpoint_epoch_000003.pt.{os.getppid()}",
        f".mine.pt.{int(dead.stdout)}",
        f"checkpoint_epoch_000003.pt.{int(dead.stdout)}",
    ]
    for name in names:
        (tmp_path / name).write_text("half")
    write_file(tmp_path / "checkpoint_epoch_000004.pt", {})
    assert {path.name for path in tmp_path.iterdir()} == {*names[2:], "checkpoint_epoch_000004.pt"}


@posix
@pytest.mark.parametrize("kind", ["folder", "loop", "dangling"])
def test_something_else_under_the_name_of_a_checkpoint(tmp_path: Path, kind: str) -> None:
    """It is told, and it is no reason to start again, nor to stop."""
    good = write_file(tmp_path / "checkpoint_epoch_000001.pt", {"epoch": 1})
    odd = tmp_path / "checkpoint_epoch_000002.pt"
    if kind == "folder":
        odd.mkdir()
    else:
        odd.symlink_to(odd if kind == "loop" else tmp_path / "missing")
    expected = {
        "folder": "cannot be read: Is a directory",
        "loop": "cannot be read: Too many levels of symbolic links",
        "dangling": "There is no checkpoint",
    }
    with pytest.warns(UserWarning, match=expected[kind]):
        found = read_newest(tmp_path)
    assert found is not None
    assert found[0] == good
    good.unlink()
    with (
        pytest.warns(UserWarning, match=expected[kind]),
        pytest.raises(CheckpointError, match="None of the 1"),
    ):
        read_newest(tmp_path)


def test_old_one_that_cannot_be_deleted(tmp_path: Path) -> None:
    (tmp_path / "checkpoint_epoch_000001.pt").mkdir()
    path = write_file(tmp_path / "checkpoint_epoch_000002.pt", {})
    with pytest.raises(CheckpointError, match=r"000002\.pt was written, but the old .*deleted"):
        rotate(path, 1)


def test_rotation_after_going_back_keeps_what_was_just_written(tmp_path: Path) -> None:
    for epoch in (1, 2, 3, 8, 9):
        path = write_file(tmp_path / f"checkpoint_epoch_{epoch:06d}.pt", {})
    rotate(tmp_path / "checkpoint_epoch_000003.pt", 1)
    assert [p.name[-4] for p in list_checkpoints(tmp_path)] == ["9", "8", "3"]
    rotate(path, 2)
    assert [p.name[-4] for p in list_checkpoints(tmp_path)] == ["9", "8"]


@contextmanager
def without_privilege() -> Iterator[None]:
    """Let permissions bind, as they do not for root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@posix
def test_no_permission() -> None:
    # Not below tmp_path, which only its owner may enter.
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("run-2", "run-3"):
            write_file(folder / part / "checkpoint_epoch_000001.pt", {})
        (folder / "run-2").chmod(0o555)
        (folder / "run-3").chmod(0o000)
        with without_privilege():
            with pytest.raises(CheckpointError, match=r"written: \[Errno 13\] Permission denied"):
                write_file(folder / "run-2" / "checkpoint_epoch_000002.pt", {})
            assert read_newest(folder / "run-2") is not None
            with pytest.raises(CheckpointError, match="run-3 cannot be read: Permission denied"):
                read_newest(folder / "run-3")
            # Somebody else's folder beside the runs is no reason to stop.
            config = TrainConfig(root_folder=folder)
            assert newest_run_folder(config) == folder / "run-2"
        (folder / "run-3").chmod(0o755)
