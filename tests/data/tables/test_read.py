"""Parquet, Feather, NPZ and HDF5 files, and files that are hostile."""

from __future__ import annotations

import os
import pickle
import tracemalloc
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import h5py
import numpy as np
import pyarrow
import pytest
from pyarrow import feather, parquet

from perceptrain_core.data.tables.columns import columns_of_arrays
from perceptrain_core.data.tables.read import column_names, iterate_columns, read_columns
from perceptrain_core.errors import DataError, MissingDependencyError

TABLE = pyarrow.table(
    {
        "x": [1, 2, None],
        "price": [Decimal("1.50"), Decimal("2.25"), None],
        "kind": pyarrow.array(["b", None, "a"]).dictionary_encode(),
        "sure": [True, False, None],
        "when": [datetime(2020, 1, 2)] * 3,
        "none": pyarrow.nulls(3),
        "id": [2**53 + 1, 1, 2],
    }
)
EXPECTED: dict[str, list[object]] = {
    "x": [1.0, 2.0, None],
    "price": [1.5, 2.25, None],
    "kind": ["b", None, "a"],
    "sure": ["true", "false", None],
    "when": ["2020-01-02 00:00:00.000000"] * 3,
    "none": [None] * 3,
    "id": ["9007199254740993", "1", "2"],
}


def plain(columns):
    return {
        name: [None if value != value else value for value in column.tolist()]
        for name, column in columns.items()
    }


def write(path: Path, table: pyarrow.Table) -> Path:
    if path.suffix == ".parquet":
        parquet.write_table(table, path, row_group_size=2)
    elif path.suffix == ".feather":
        feather.write_feather(table, path, chunksize=2)
    else:
        with (
            pyarrow.OSFile(str(path), "wb") as file,
            pyarrow.ipc.new_stream(file, table.schema) as stream,
        ):
            stream.write_table(table, max_chunksize=2)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_file_is_read_in_parts(tmp_path, save):
    x = np.arange(600_000, dtype=np.float32).reshape(-1, 4)
    arrays = {"x": x, "by_columns": np.asfortranarray(x[:, :2] + 1), "flag": x[:, 0] % 8 == 0}
    arrays["kind"] = np.where(arrays["flag"], "yes", "no")
    save(tmp_path / "t.npz", **arrays)
    whole = read_columns(tmp_path / "t.npz")
    chunks = list(iterate_columns(tmp_path / "t.npz", rows=1000))
    assert len(chunks) == 150
    for name, column in columns_of_arrays(arrays).items():
        assert np.array_equal(whole[name], column)
        assert np.array_equal(np.concatenate([chunk[name] for chunk in chunks]), column)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_parts_of_an_npz_file_take_little_memory(tmp_path, save):
    save(tmp_path / "t.npz", x=np.zeros((1_000_000, 4)))
    tracemalloc.start()
    for _ in iterate_columns(tmp_path / "t.npz", rows=10_000):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6  # of 32e6


def test_a_damaged_byte_of_an_npz_file(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.arange(10_000.0))
    data = bytearray((tmp_path / "t.npz").read_bytes())
    data[50_000] ^= 1
    (tmp_path / "t.npz").write_bytes(data)
    with pytest.raises(DataError, match=r"cannot be read: Bad CRC-32"):
        read_columns(tmp_path / "t.npz")


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.arrow"])
def test_arrow_formats(tmp_path, name):
    path = write(tmp_path / name, TABLE)
    assert column_names(path) == list(EXPECTED)
    assert plain(read_columns(path)) == EXPECTED
    assert plain(read_columns(path, ["kind", "x"], text=["x"])) == {
        "kind": EXPECTED["kind"],
        "x": ["1", "2", None],
    }
    chunks = list(iterate_columns(path, ["x"], rows=1))
    assert [plain(chunk) for chunk in chunks] == [{"x": [1]}, {"x": [2]}, {"x": [None]}]
    with pytest.raises(DataError, match=r"there is no column 'prise'; did you mean 'price'"):
        read_columns(path, ["prise"])
    with pytest.raises(DataError, match=r"separator is for \.csv"):
        read_columns(path, separator=";")


@pytest.mark.parametrize("name", ["t.parquet", "t.feather"])
def test_tables_without_rows_and_wide_ones(tmp_path, name):
    with pytest.raises(DataError, match="the file has no rows"):
        read_columns(write(tmp_path / name, TABLE.slice(0, 0)))
    wide = pyarrow.table({f"c{i}": [i] for i in range(2_000)})
    assert plain(read_columns(write(tmp_path / name, wide), ["c1999"])) == {"c1999": [1999]}


def test_npz(npz):
    path = npz(x=[[1.0, 2.0], [3.0, 4.0]], kind=["b", "a"], sure=[True, False], flags=[[True], [0]])
    assert column_names(path) == ["x[0]", "x[1]", "kind", "sure", "flags[0]"]
    assert plain(read_columns(path)) == {
        "x[0]": [1, 3],
        "x[1]": [2, 4],
        "kind": ["b", "a"],
        "sure": ["true", "false"],
        "flags[0]": [1, 0],
    }
    assert [plain(c) for c in iterate_columns(path, ["x[1]"], rows=1, text=["x[1]"])] == [
        {"x[1]": ["2"]},
        {"x[1]": ["4"]},
    ]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": [1, 2], "y": [1]}, "the arrays differ in length: {'x': 2, 'y': 1}"),
        ({"x": np.zeros((0, 2))}, "the file has no rows"),
        ({"x": [1j]}, "Column 'x' holds complex128; expected numbers or text"),
        ({}, "the file has no columns"),
    ],
)
def test_npz_that_cannot_be_used(npz, arrays, message):
    with pytest.raises(DataError, match=message):
        read_columns(npz(**arrays))


class _Trap:
    """Leaves a file when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def test_nothing_is_unpickled(npz, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = npz(x=[1, 2], notes=np.array([_Trap(), None], dtype=object))
    assert plain(read_columns(path, ["x"])) == {"x": [1, 2]}
    with pytest.raises(DataError, match="Object arrays cannot be loaded"):
        read_columns(path, ["notes"])
    packed = pyarrow.table({"p": [pickle.dumps(_Trap())]})
    with pytest.raises(DataError, match="Column 'p' holds bytes"):
        read_columns(write(tmp_path / "p.parquet", packed))
    assert not Path("unpickled").exists()


def test_hdf5(tmp_path):
    path = tmp_path / "t.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(6.0).reshape(3, 2)
        file["group/kind"] = ["b", "a", "b"]
    assert column_names(path) == ["group/kind", "x[0]", "x[1]"]
    assert plain(read_columns(path)) == {
        "group/kind": ["b", "a", "b"],
        "x[0]": [0, 2, 4],
        "x[1]": [1, 3, 5],
    }
    assert len(list(iterate_columns(path, rows=2))) == 2


def test_hdf5_reads_no_other_file(tmp_path):
    secret, path = tmp_path / "secret.h5", tmp_path / "t.h5"
    with h5py.File(secret, "w") as file:
        file["s"] = [1.0, 2.0]
    with h5py.File(path, "w") as file:
        file["x"] = [1.0, 2.0]
        file["link"] = h5py.ExternalLink("secret.h5", "s")
    assert column_names(path) == ["x"]
    with h5py.File(path, "a") as file:
        raw = [(str(secret), 0, 16)]
        file.create_dataset("outside", (2,), "f8", external=raw)
    with pytest.raises(DataError, match="'outside' is stored in another file"):
        read_columns(path, ["x"])


def test_hdf5_without_h5py(tmp_path, monkeypatch):
    (tmp_path / "t.h5").write_bytes(b"x")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"perceptrain-core\[hdf5\]"):
        read_columns(tmp_path / "t.h5")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".feather", ".arrow", ".npz", ".h5"])
def test_what_is_no_regular_file(tmp_path, suffix):
    pipe, folder, device = (tmp_path / f"{name}{suffix}" for name in ("pipe", "folder", "device"))
    os.mkfifo(pipe)
    folder.mkdir()
    device.symlink_to("/dev/zero")
    for path in (pipe, folder, device):
        with pytest.raises(DataError, match=r"this is not a file: expected a regular file"):
            read_columns(path)
    with pytest.raises(DataError, match=f"There is no data file .*none{suffix}"):
        read_columns(tmp_path / f"none{suffix}")
    (tmp_path / f"empty{suffix}").touch()
    with pytest.raises(DataError, match="the file is empty"):
        next(iterate_columns(tmp_path / f"empty{suffix}"))


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.arrow", "t.npz", "t.h5"])
def test_damaged_and_truncated_files(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"not at all")
    with pytest.raises(DataError, match="cannot be read: "):
        read_columns(path)
    numbers = np.random.default_rng(0).normal(size=10_000)
    if path.suffix == ".npz":
        np.savez(path, x=numbers)
    elif path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["x"] = numbers
    else:
        write(path, pyarrow.table({"x": numbers}))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cannot be read: "):
        read_columns(path)


def test_other_formats(tmp_path):
    with pytest.raises(DataError, match=r"expected a file named \.csv, .*\.h5 or \.hdf5"):
        read_columns(tmp_path / "data.xls")


def test_the_ending_in_capitals(csv):
    assert plain(read_columns(csv("a\n1\n", name="DATA.CSV"))) == {"a": [1]}
