"""Sharded checkpoints: written by any number of processes, read by any other."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
import torch
import torch.distributed.checkpoint as dcp
from hypothesis import given, settings
from torch import Tensor, nn

from perceptrain_core.checkpoints.file import read_file, write_file
from perceptrain_core.checkpoints.kinds import read_checkpoint
from perceptrain_core.checkpoints.shard_index import read_index
from perceptrain_core.checkpoints.sharded import read_sharded, write_sharded
from perceptrain_core.engine.launch import run_in_processes

from . import sharded_states
from .sharded_states import (
    error_without_a_shared_disk,
    errors_of_a_failing_process,
    over_a_grid,
    over_all,
    parts_that_differ,
    whole_state,
    write,
    write_by_format,
)
from .test_file import states


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """The places where two states differ in type, keys, order, dtype, strides or bits."""
    if type(a) is not type(b):
        return [where]
    if isinstance(a, dict) and list(a) == list(b):
        return [line for key in a for line in differences(a[key], b[key], f"{where}/{key}")]
    if isinstance(a, list | tuple) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))
        return [line for i, pair in pairs for line in differences(*pair, f"{where}/{i}")]
    if isinstance(a, Tensor):
        same = a.dtype is b.dtype and a.stride() == b.stride() and torch.equal(a, b)
        return [] if same else [where]
    return [] if a == b else [where]


@pytest.mark.slow
@settings(max_examples=30)
@given(state=states)
def test_plain_values_come_back_as_they_went(
    state: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write_sharded(tmp_path_factory.getbasetemp() / "plain.dcp", state)
    assert differences(read_sharded(path), {"format": 1, **state}) == []


def test_one_process_writes_what_a_file_holds(tmp_path: Path) -> None:
    state = whole_state()
    file = read_file(write_file(tmp_path / "a.pt", state))
    folder = read_sharded(write_sharded(tmp_path / "a.dcp", state))
    assert differences(file, folder) == []
    assert folder["model"]._metadata == file["model"]._metadata
    assert sorted(os.listdir(tmp_path)) == ["a.dcp", "a.pt"]


def test_unusual_tensors(tmp_path: Path) -> None:
    tied = torch.randn(300, 300)
    state = {
        1: torch.tensor(True),
        "1": torch.randn(2, 3, dtype=torch.complex64).conj(),
        "a.b": torch.randn(3),
        "a": {"b": torch.randn(2)},
        "empty": torch.empty(0, 3),
        "expanded": torch.randn(3, 1).expand(3, 4),
        "part": torch.randn(100, 100)[::2, 1:3],
        "sparse": torch.eye(3).to_sparse(),
        "parameter": nn.Parameter(torch.randn(2)),
        "tied": [tied, tied],
    }
    path = write_sharded(tmp_path / "a.dcp", state)
    back = read_sharded(path)
    assert list(back) == ["format", *state]
    assert isinstance(back["parameter"], nn.Parameter)
    assert torch.equal(back["1"], state["1"])
    assert torch.equal(back["sparse"].to_dense(), torch.eye(3))
    for name in (1, "a.b", "empty", "expanded", "part", "parameter"):
        assert torch.equal(back[name], state[name])
    assert torch.equal(back["a"]["b"], state["a"]["b"])
    assert back["tied"][0] is back["tied"][1]
    assert sum(file.stat().st_size for file in path.iterdir()) < 1.1 * 4 * 300 * 300 + 30_000


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_dcp_reads_it_too(tmp_path: Path) -> None:
    state = whole_state()
    path = write_sharded(tmp_path / "a.dcp", state)
    model = OrderedDict((name, torch.zeros_like(value)) for name, value in state["model"].items())
    dcp.load({"model": model}, checkpoint_id=path, no_dist=True)
    assert differences(model, OrderedDict(state["model"])) == []


def in_processes(function: Callable[..., Any], processes: int, *args: Any) -> Any:
    cloudpickle.register_pickle_by_value(sharded_states)
    try:
        return run_in_processes(function, processes, *args)
    finally:
        cloudpickle.unregister_pickle_by_value(sharded_states)


@pytest.fixture(scope="module")
def written(forked_workers: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same state, written by two processes, and by four in a grid."""
    folder = tmp_path_factory.mktemp("written")
    for name, processes, divide in (("2", 2, over_all), ("4", 4, over_a_grid)):
        in_processes(write, processes, folder / f"{name}.dcp", divide)
    write_sharded(folder / "1.dcp", whole_state())
    return {path.stem: path for path in folder.iterdir()}


@pytest.mark.slow
def test_one_process_reads_what_several_wrote(written: dict[str, Path]) -> None:
    truth = {"format": 1, **whole_state()}
    del truth["processes"]
    for path in written.values():
        back = read_sharded(path)
        del back["processes"]  # the random state of the first process
        assert differences(back, truth) == [], path
        assert list(back) == list(truth)
        shards = [*path.glob("*.distcp")]
        assert len(shards) == int(path.stem)
        assert all(shard.stat().st_size for shard in shards)


def test_each_value_is_written_once(written: dict[str, Path]) -> None:
    """Also those that several processes have."""
    sizes = {
        name: sum(shard.length for parts in read_index(path).shards.values() for shard in parts)
        for name, path in written.items()
    }
    values = {
        name: sum(
            prod(shard.sizes) for parts in read_index(path).shards.values() for shard in parts
        )
        for name, path in written.items()
    }
    assert len(set(values.values())) == 1
    assert max(sizes.values()) < 3 * sizes["1"]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [3, 4])
def test_other_numbers_of_processes_read_their_parts(
    written: dict[str, Path], processes: int
) -> None:
    divide = over_a_grid if processes == 4 else over_all
    assert in_processes(parts_that_differ, processes, list(written.values()), divide) == []


def test_writer_of_a_fit_chooses_the_kind(forked_workers: None, tmp_path: Path) -> None:
    """A file of a sharded model holds whole tensors."""
    names = in_processes(write_by_format, 2, tmp_path)
    expected = {"auto": "auto.dcp", "file": "file.pt", "sharded": "sharded.dcp"}
    assert names == expected | {"whole": "whole.pt"}
    assert sorted(os.listdir(tmp_path)) == sorted(names.values())
    truth = {"format": 1, **whole_state()}
    del truth["processes"]
    for name in names.values():
        back = read_checkpoint(tmp_path / name)
        del back["processes"]
        assert differences(back, truth) == [], name


@pytest.mark.slow
def test_process_that_fails_is_reported_by_all(forked_workers: None, tmp_path: Path) -> None:
    good = write_sharded(tmp_path / "checkpoint_epoch_000003.dcp", {"epoch": 3})
    for text in in_processes(errors_of_a_failing_process, 2, good.with_suffix(".pt")):
        assert text.startswith(f"The checkpoint {good} could not be written: ")
        assert "[Errno 28] No space left on device" in text
    assert os.listdir(tmp_path) == [good.name]
    assert read_sharded(good)["epoch"] == 3


def test_processes_without_a_shared_disk(forked_workers: None, tmp_path: Path) -> None:
    error = in_processes(error_without_a_shared_disk, 2, tmp_path)
    assert "__1_0.distcp of another process is not in the folder of the first" in error
    assert [*tmp_path.glob("*/*"), *tmp_path.glob("*/.*")] == []
