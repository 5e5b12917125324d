"""A checkpoint is written whole or not at all, and read without running code."""

from __future__ import annotations

import errno
import os
import pickle
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from perceptrain.errors import CheckpointError
from perceptrain_core.checkpoints.file import read_file, write_file

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
states = st.dictionaries(
    st.text(min_size=1).filter(lambda name: name != "format"),
    st.recursive(
        scalars,
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
        max_leaves=6,
    ),
)


@pytest.mark.slow
@settings(max_examples=30)
@given(state=states)
def test_plain_values_come_back_as_they_went(
    state: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_file(tmp_path_factory.getbasetemp() / "plain.pt", state)
    assert read_file(path) == {"format": 1, **state}


@pytest.mark.parametrize(
    "tensor",
    [torch.randn(3), torch.arange(3), torch.zeros(2, dtype=torch.float64), torch.tensor(True)],
)
def test_tensors_come_back_as_they_went(tmp_path: Path, tensor: Tensor) -> None:
    back = read_file(write_file(tmp_path / "deep" / "down" / "a.pt", {"t": [(tensor,)]}))["t"][0][0]
    assert torch.equal(back, tensor)
    assert back.dtype is tensor.dtype


def test_numbers_of_numpy_become_those_of_python(tmp_path: Path) -> None:
    state = {"lr": np.float64(0.1), "steps": [np.int64(3)], "pair": (np.float32(0.5), {"a": 1})}
    back = read_file(write_file(tmp_path / "a.pt", state))
    assert back == {"format": 1, "lr": 0.1, "steps": [3], "pair": (0.5, {"a": 1})}
    assert type(back["lr"]) is float


@pytest.mark.parametrize("foreign", [Path("a"), np.zeros(3), range(3), lambda: 3, object()])
def test_what_could_not_be_read_back_is_refused_when_written(tmp_path: Path, foreign: Any) -> None:
    path = write_file(tmp_path / "a.pt", {"good": 1})
    with pytest.raises(CheckpointError, match=r"a\.pt could not be written"):
        write_file(path, {"callbacks": {"mine": foreign}})
    assert read_file(path)["good"] == 1
    assert os.listdir(tmp_path) == ["a.pt"]


def _full(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def _half(state: Any, file: Any) -> None:
    file.write(b"half of it")
    _full()


@pytest.mark.parametrize(
    ("where", "name", "failure"),
    [(os, "fsync", _full), (torch, "save", _half), (os, "replace", _full)],
    ids=["flushing", "writing", "renaming"],
)
def test_full_disk_is_an_error_and_leaves_the_old_file(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: Any,
    name: str,
    failure: Callable[..., None],
) -> None:
    path = write_file(tmp_path / "a.pt", {"epoch": 1})
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(where, name, failure)
        with pytest.raises(CheckpointError, match="No space left on device") as caught:
            write_file(path, {"epoch": 2})
    assert "Earlier checkpoints are unchanged" in str(caught.value)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.pt"]


def test_interruption_while_writing_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a.pt", {})
    assert os.listdir(tmp_path) == []


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="could not be written"):
        write_file(tmp_path / "file" / "a.pt", {})


@pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")
def test_file_has_the_mode_of_any_file(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    path = write_file(tmp_path / "a.pt", {})
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


@given(content=st.binary(max_size=200))
def test_random_bytes(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "random.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError):
        read_file(path)


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize(
    "save", [torch.save, lambda state, path: path.write_bytes(pickle.dumps(state, 2))]
)
def test_pickled_code_is_never_executed(tmp_path: Path, save: Callable[..., Any]) -> None:
    path, mark = tmp_path / "a.pt", tmp_path / "executed"
    save({"format": 1, "model": Hostile(mark)}, path)
    with pytest.raises(CheckpointError, match="nothing in it is executed") as caught:
        read_file(path)
    assert "weights_only" not in str(caught.value)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"model": {}}, "is not a checkpoint of Perceptrain"),
        ([1, 2], "is not a checkpoint of Perceptrain"),
        ({"format": 99}, "has the format 99; this version reads format 1"),
    ],
)
def test_something_else(tmp_path: Path, state: Any, message: str) -> None:
    torch.save(state, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match=message):
        read_file(tmp_path / "a.pt")


@pytest.mark.parametrize("text", [b"hello", b"a,b\n1,2\n"])
def test_a_file_of_another_kind(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "a.pt").write_bytes(text)
    with pytest.raises(CheckpointError, match=r"it was not written by torch\.save"):
        read_file(tmp_path / "a.pt")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        read_file(tmp_path / "a.pt")
