from __future__ import annotations

import io
import mmap
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from perceptrain import FFNN, TrainConfig, Trainer, to_dataloader
from perceptrain_core.data.support.rows import is_mapped
from perceptrain_core.engine.mapped_pickle import MappedPickler

Array = NDArray[Any]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.npy"
    np.save(path, np.arange(60_000, dtype=np.float32).reshape(-1, 3))
    return path


def pickled(value: Any) -> bytes:
    file = io.BytesIO()
    MappedPickler(file).dump(value)
    return file.getvalue()


VIEWS: dict[str, Callable[[Array], Array]] = {
    "whole": lambda a: a,
    "rows": lambda a: a[500:],
    "a column": lambda a: a[:, 1:2],
    "every third row": lambda a: a[4::3],
    "backwards": lambda a: a[::-1],
    "transposed": lambda a: a.T,
    "no longer a memmap": lambda a: np.asarray(a)[7:],
    "bits": lambda a: a.view(np.int32)[:, 0],
    "a view of a view": lambda a: np.asarray(a[10:])[5:, 1],
    "one value": lambda a: a[3, 2:3],
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("mode", ["r", "r+"])
def test_a_view_of_a_file_is_mapped_again(file: Path, name: str, mode: Any) -> None:
    array = VIEWS[name](np.load(file, mmap_mode=mode))
    data = pickled(array)
    assert len(data) < 2000
    found = pickle.loads(data)
    assert type(found) is type(array)
    assert found.dtype == array.dtype
    assert found.strides == array.strides
    assert np.array_equal(found, array)
    assert found.flags.writeable == array.flags.writeable


def test_columns_first_and_an_offset(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(bytes(100) + np.arange(5000.0).tobytes())
    array = np.memmap(path, np.float64, "r", 100, (50, 100), "F")
    for each in (array, array[10:, 3:]):
        data = pickled(each)
        assert len(data) < 2000
        assert np.array_equal(pickle.loads(data), each)


def test_views_share_one_map(file: Path) -> None:
    array = np.load(file, mmap_mode="r+")
    first, second = pickle.loads(pickled((array[:10], array[5:])))
    first[7, 0] = -1
    assert second[2, 0] == -1


def test_what_is_not_in_the_file_is_copied(file: Path, tmp_path: Path) -> None:
    own = np.load(file, mmap_mode="c")
    own[0, 0] = 5.0
    loaded = pickle.loads(pickled(own))
    assert np.array_equal(loaded, own)
    masked = np.ma.masked_less(np.load(file, mmap_mode="r"), 3)
    assert np.ma.allequal(pickle.loads(pickled(masked)), masked)
    assert pickle.loads(pickled(masked)).mask.sum() == 3


@pytest.mark.parametrize("how", ["replaced", "removed", "shorter"])
def test_a_file_that_is_another_by_now(file: Path, tmp_path: Path, how: str) -> None:
    array = np.load(file, mmap_mode="r")
    before = array.copy()
    file.unlink()
    if how != "removed":
        np.save(file, before[:10] if how == "shorter" else before + 1)
    assert np.array_equal(pickle.loads(pickled(array)), before)


def test_tensors_of_loaders(file: Path) -> None:
    loader = to_dataloader(np.load(file, mmap_mode="r"), batch_size=4)
    data = pickled(loader)
    assert len(data) < 10_000
    found = pickle.loads(data)
    assert is_mapped(found.tensors[0])
    assert torch.equal(found.tensors[0], loader.tensors[0])
    # A part of it is not known to lie in a file.
    part = pickle.loads(pickled(loader.tensors[0][5:]))
    assert torch.equal(part, loader.tensors[0][5:])


def test_tensors_of_a_file(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(np.arange(50_000, dtype=np.float32).tobytes())
    tensor = torch.from_file(str(path), shared=True, size=50_000).reshape(-1, 5)[3:, 1:]
    data = pickled(tensor)
    assert len(data) < 2000
    assert torch.equal(pickle.loads(data), tensor)
    private = torch.from_file(str(path), shared=False, size=50_000)
    private[0] = -1
    assert torch.equal(pickle.loads(pickled(private)), private)


@pytest.mark.usefixtures("forked_workers")
def test_a_fit_in_processes_maps_the_file(file: Path, tmp_path: Path) -> None:
    rows = np.load(file, mmap_mode="r")
    config = TrainConfig(
        max_iter=1, nprocs=2, batch_size=1000, verbose=False, root_folder=tmp_path, seed=1
    )
    model = FFNN([3, 4, 3])

    def loss(batch: Any, model: Any) -> Any:
        mapped = float(isinstance(rows.base, mmap.mmap))
        return (model(batch[0] / 60_000) - batch[0]).square().mean(), {"mapped": mapped}

    trainer = Trainer(model, {"name": "adam"}, config, loss)
    trainer.fit((rows,))
    assert trainer.global_step == 10
    assert trainer.history[0]["train_mapped"] == 1.0
