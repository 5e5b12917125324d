from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from perceptrain import FFNN, TrainConfig, Trainer, to_dataloader
from perceptrain.data import map_arrays
from perceptrain.errors import DataError, MissingDependencyError
from perceptrain_core.data.support.rows import is_mapped

X = np.random.default_rng(0).random((500, 6)).astype(np.float32)
ARRAYS: dict[str, Any] = {
    "x": X,
    "by_columns": np.asfortranarray(X),
    "swapped": X.astype(">f8"),
    "labels": np.arange(500),
    "sure": X[:, 0] > 0.5,
    "none": np.zeros((0, 3)),
    "one": np.float64(2.0),
}


def hdf5(path: Path, **options: Any) -> Path:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in ARRAYS.items():
            file.create_dataset(f"part/{name}", data=array, **(options if np.ndim(array) else {}))
    return path


def test_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **ARRAYS)
    found = map_arrays(tmp_path / "a.npz")
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert np.array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert isinstance(found[name], np.memmap) == (name != "none")


def test_compressed_npz(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **ARRAYS)
    found = map_arrays(str(tmp_path / "a.npz"), ["labels", "x"])
    assert list(found) == ["labels", "x"]
    assert np.array_equal(found["x"], X)
    assert not isinstance(found["x"], np.memmap)


@pytest.mark.parametrize("options", [{}, {"chunks": True}, {"compression": "gzip"}])
def test_hdf5(tmp_path: Path, options: dict[str, Any]) -> None:
    arrays = dict(ARRAYS)
    path = hdf5(tmp_path / "a.h5", **options) if not options else tmp_path / "a.h5"
    if options:
        arrays.pop("none")
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                own = options if np.ndim(array) else {}
                file.create_dataset(f"part/{name}", data=array, **own)
    found = map_arrays(path)
    assert found.keys() == {f"part/{name}" for name in arrays}
    for name, array in arrays.items():
        assert np.array_equal(found[f"part/{name}"], array)
    assert isinstance(found["part/x"], np.memmap) == (not options)


def test_a_loader_reads_it_batch_by_batch(tmp_path: Path) -> None:
    arrays = map_arrays(hdf5(tmp_path / "a.h5"), ["part/x", "part/labels"])
    loader = to_dataloader(*arrays.values(), batch_size=100)
    assert all(map(is_mapped, loader.tensors))
    assert torch.equal(next(iter(loader))[0], torch.from_numpy(X[:100]))


def test_values_that_are_not_aligned_are_copied_by_loaders(tmp_path: Path) -> None:
    """Reading them through a tensor would end the process."""
    aligned = set()
    for length in range(1, 9):  # the name moves the values
        np.savez(tmp_path / "a.npz", **{"x" * length: X})
        (array,) = map_arrays(tmp_path / "a.npz").values()
        (tensor,) = to_dataloader(array).tensors
        assert is_mapped(tensor) == array.flags.aligned
        assert torch.equal(tensor, torch.from_numpy(X))
        aligned.add(array.flags.aligned)
    assert aligned == {True, False}


def test_processes_map_it_too(tmp_path: Path) -> None:
    arrays = map_arrays(hdf5(tmp_path / "a.h5"), ["part/x"])

    def loss(batch: Any, model: Any) -> Any:
        mapped = float(isinstance(arrays["part/x"], np.memmap))
        return model(batch[0]).square().mean(), {"mapped": mapped}

    config = TrainConfig(nprocs=2, batch_size=50, max_iter=1, verbose=False, root_folder=tmp_path)
    trainer = Trainer(FFNN([6, 1]), {"name": "adam"}, config, loss)
    trainer.fit((arrays["part/x"],))
    assert trainer.global_step == 5
    assert trainer.history[0]["train_mapped"] == 1.0


def test_what_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", x=X, objects=np.array([{}, None], dtype=object))
    with pytest.raises(DataError, match=r"a\.npz cannot be read: Object arrays cannot"):
        map_arrays(tmp_path / "a.npz")
    assert list(map_arrays(tmp_path / "a.npz", ["x"])) == ["x"]
    with pytest.raises(DataError, match="has no array 'z'"):
        map_arrays(tmp_path / "a.npz", ["z"])
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[:2000])
    with pytest.raises(DataError, match=r"cut\.npz cannot be read"):
        map_arrays(tmp_path / "cut.npz")
    with pytest.raises(DataError, match=r"expected a file named \.npz"):
        map_arrays(tmp_path / "a.npy")
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file["kind"] = ["a", "b"]
    with pytest.raises(DataError, match="'kind' holds object; expected numbers"):
        map_arrays(tmp_path / "text.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match="h5py"):
        map_arrays(tmp_path / "text.h5")
