"""Damaged and hostile folders of shards: an error that names the folder, and nothing runs."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch

from perceptrain import load_model
from perceptrain.errors import CheckpointError
from perceptrain_core.checkpoints.folder import list_checkpoints, read_newest, rotate
from perceptrain_core.checkpoints.folder_swap import aside
from perceptrain_core.checkpoints.kinds import read_checkpoint
from perceptrain_core.checkpoints.sharded import read_sharded, write_sharded

from .test_file import Hostile

STATE = {"epoch": 3, "model": {"weight": torch.arange(12.0).reshape(4, 3), "bias": torch.ones(4)}}
NAME = "model.weight"
DATA = "__0_0.distcp"

Spoil = Callable[[dict[str, Any]], Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_sharded(tmp_path / "checkpoint_epoch_000003.dcp", STATE)


def shards(index: dict[str, Any]) -> list[Any]:
    found: list[Any] = index["shards"][NAME]
    return found


def edit(place: int, value: Any) -> Spoil:
    """Change a field of the shard of the weights."""

    def spoil(index: dict[str, Any]) -> None:
        shard = list(shards(index)[0])
        shard[place] = value
        shards(index)[0] = tuple(shard)

    return spoil


def huge(index: dict[str, Any]) -> None:
    index["state"]["model"]["weight"] = torch.empty(10**9, 10**6, device="meta")


SPOILT: dict[str, tuple[Spoil, str]] = {
    "beyond the tensor": (edit(0, (1, 0)), "reaches beyond the tensor"),
    "negative": (edit(0, (-1, 0)), "not described by numbers"),
    "other dimensions": (edit(1, (12,)), "zip"),
    "a hole": (edit(1, (3, 3)), "do not fill it"),
    "twice": (lambda index: shards(index).append(shards(index)[0]), "do not fill it"),
    "none": (lambda index: shards(index).clear(), "do not fill it"),
    "overlapping": (
        lambda index: shards(index).__setitem__(
            slice(None), [((0, 0), (2, 3), DATA, 0, 500), ((1, 0), (2, 3), DATA, 500, 500)]
        ),
        "overlap",
    ),
    "outside": (edit(2, "../other"), "not a file in the folder"),
    "absolute": (edit(2, "/etc/passwd"), "not a file in the folder"),
    "missing": (edit(2, "__9_0.distcp"), "__9_0.distcp is missing"),
    "beyond the file": (edit(3, 10**9), "is cut off"),
    "elsewhere": (edit(3, 1), "share bytes"),
    "longer": (edit(4, 10**9), "is cut off"),
    "shorter": (edit(4, 3), "larger than its bytes"),
    "huge": (huge, "do not fill it"),
    "no tensor": (lambda index: index["state"]["model"].pop("weight"), "tensors, its index"),
    "no shards": (lambda index: index["shards"].clear(), "damaged"),
    "no state": (lambda index: index.pop("state"), "damaged"),
    "strange names": (lambda index: index.update(names=[1, 2]), "damaged"),
    "later format": (lambda index: index.update(sharded=2), "has the format 2"),
    "something else": (lambda index: index.pop("sharded"), "not the index"),
    "strange epoch": (lambda index: index["state"].update(epoch="x"), "its epoch is 'x'"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_index_that_contradicts_itself_or_the_files(folder: Path, what: str) -> None:
    spoil, message = SPOILT[what]
    index = torch.load(folder / "state.pt", weights_only=True)
    spoil(index)
    torch.save(index, folder / "state.pt")
    with pytest.raises(CheckpointError, match=message) as caught:
        read_sharded(folder)
    assert folder.name in str(caught.value)


@pytest.mark.parametrize("file", ["state.pt", DATA, ".metadata"])
@pytest.mark.parametrize("save", [torch.save, pickle.dump])
def test_pickled_code_is_never_executed(
    folder: Path, tmp_path: Path, file: str, save: Callable[..., None]
) -> None:
    mark, size = tmp_path / "executed", (folder / file).stat().st_size
    with (folder / file).open("wb") as stream:
        save({"sharded": 1, "state": Hostile(mark)}, stream)
        stream.write(bytes(size))
    if file == ".metadata":
        assert read_sharded(folder)["epoch"] == 3
    else:
        with pytest.raises(CheckpointError, match="damaged"):
            read_sharded(folder)
    assert not mark.exists()


def test_code_in_a_shard_is_never_executed(folder: Path, tmp_path: Path) -> None:
    mark, stream = tmp_path / "executed", BytesIO()
    torch.save(Hostile(mark), stream)
    (folder / DATA).write_bytes(stream.getvalue())
    index = torch.load(folder / "state.pt", weights_only=True)
    size = len(stream.getvalue())
    index["shards"] = {NAME: [((0, 0), (4, 3), DATA, 0, size)]}
    index["names"], index["state"]["model"] = [NAME], {"weight": torch.empty(4, 3, device="meta")}
    torch.save(index, folder / "state.pt")
    with pytest.raises(CheckpointError, match="nothing in it is executed"):
        read_sharded(folder)
    assert not mark.exists()


def test_compressed_shard(folder: Path) -> None:
    """A bomb claims more than it stores."""
    stream, bomb = BytesIO(), BytesIO()
    torch.save(torch.zeros(1000, 1000), stream)
    with zipfile.ZipFile(stream) as source, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as to:
        for entry in source.infolist():
            to.writestr(entry.filename, source.read(entry))
    (folder / DATA).write_bytes(bomb.getvalue())
    index = torch.load(folder / "state.pt", weights_only=True)
    index["shards"] = {NAME: [((0, 0), (4, 3), DATA, 0, len(bomb.getvalue()))]}
    index["names"], index["state"]["model"] = [NAME], {"weight": torch.empty(4, 3, device="meta")}
    torch.save(index, folder / "state.pt")
    with pytest.raises(CheckpointError, match="compressed"):
        read_sharded(folder)


@pytest.mark.slow
def test_wrong_bit_anywhere(folder: Path) -> None:
    """It is noticed, or it changes nothing."""
    noticed = 0
    for file in ("state.pt", DATA):
        good = (folder / file).read_bytes()
        for place in range(0, len(good), 17):
            content = bytearray(good)
            content[place] ^= 16
            (folder / file).write_bytes(content)
            try:
                back = read_sharded(folder)
            except CheckpointError:
                noticed += 1
            else:
                assert torch.equal(back["model"]["weight"], STATE["model"]["weight"]), place
                assert back["epoch"] == 3, place
        (folder / file).write_bytes(good)
    assert noticed > 20


@pytest.mark.parametrize("cut", [0, 10, 500])
def test_file_that_is_cut_off_is_skipped_for_the_checkpoint_before(folder: Path, cut: int) -> None:
    newer = write_sharded(folder.with_name("checkpoint_epoch_000004.dcp"), STATE)
    with (newer / DATA).open("r+b") as file:
        file.truncate(cut)
    with pytest.warns(UserWarning, match=r"is cut off.*before it"):
        found = read_newest(folder.parent)
    assert found is not None
    assert found[0] == folder


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
def test_pipe_among_the_shards(folder: Path) -> None:
    (folder / DATA).unlink()
    os.mkfifo(folder / DATA)
    with pytest.raises(CheckpointError, match="not a file in the folder"):
        read_sharded(folder)


def test_folder_without_an_index_or_none_at_all(tmp_path: Path) -> None:
    (tmp_path / "a.dcp").mkdir()
    with pytest.raises(CheckpointError, match=r"a\.dcp is not a checkpoint .* no state\.pt"):
        read_checkpoint(tmp_path / "a.dcp")
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        read_checkpoint(tmp_path / "b.dcp")
    (tmp_path / "c.dcp").write_text("")
    with pytest.raises(CheckpointError, match="cannot be read: Not a directory"):
        read_checkpoint(tmp_path / "c.dcp")


def test_full_disk_leaves_the_old_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    for where, name in ((os, "fsync"), (torch, "save"), (os, "rename")):
        with monkeypatch.context() as patched:
            patched.setattr(where, name, full)
            with pytest.raises(CheckpointError, match=r"written: .*No space left on device"):
                write_sharded(folder, {"epoch": 4})
        assert os.listdir(folder.parent) == [folder.name]
        assert read_sharded(folder)["epoch"] == 3


def test_writer_killed_between_two_renames(folder: Path) -> None:
    """The folder set aside is found, listed, replaced and deleted."""
    os.rename(folder, aside(folder))
    assert list_checkpoints(folder.parent) == [aside(folder)]
    assert read_sharded(folder)["epoch"] == 3
    found = read_newest(folder.parent)
    assert found is not None
    assert found[1]["epoch"] == 3
    write_sharded(folder, {"epoch": 4})
    assert os.listdir(folder.parent) == [folder.name]
    os.rename(folder, aside(folder))
    rotate(write_sharded(folder.with_name("checkpoint_epoch_000009.dcp"), STATE), 1)
    assert os.listdir(folder.parent) == ["checkpoint_epoch_000009.dcp"]


def test_what_killed_writers_left_is_cleared(folder: Path) -> None:
    left = folder.with_name(f".checkpoint_epoch_000004.dcp.{os.getpid()}")
    left.mkdir()
    (left / DATA).write_text("half")
    write_sharded(folder, {"epoch": 4})
    assert os.listdir(folder.parent) == [folder.name]


def test_state_that_could_not_be_read_back_is_refused_when_written(folder: Path) -> None:
    for foreign in (Path("a"), object(), torch.empty(2, device="meta")):
        with pytest.raises(CheckpointError, match=r"000003\.dcp could not be written"):
            write_sharded(folder, {"epoch": 4, "callbacks": {"mine": foreign}})
    assert os.listdir(folder.parent) == [folder.name]
    assert read_sharded(folder)["epoch"] == 3


def test_model_is_loaded_from_a_folder_of_any_name(folder: Path) -> None:
    model = torch.nn.Linear(3, 4)
    other = folder.rename(folder.with_name("renamed"))
    load_model(other, model)
    assert torch.equal(model.weight, STATE["model"]["weight"])
