"""Data files that were made to do harm: nothing in them is executed, and no other file is read."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from perceptrain_core.data.tables.read import column_names, read_columns
from perceptrain_core.errors import DataError


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def header(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    """The start of an NPY file that claims a shape, without the values."""
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_pickled_objects_in_an_npz_file(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    np.savez(tmp_path / "a.npz", x=np.array([Hostile(mark), 1], dtype=object), y=np.zeros(2))
    with pytest.raises(DataError, match=r"a\.npz cannot be read: Object arrays cannot be loaded"):
        read_columns(tmp_path / "a.npz")
    assert read_columns(tmp_path / "a.npz", ["y"])["y"].tolist() == [0, 0]
    assert not mark.exists()


def test_a_pickle_under_the_name_of_an_array(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    archive(tmp_path / "a.npz", {"x.npy": pickle.dumps(Hostile(mark))})
    with pytest.raises(DataError, match=r"a\.npz cannot be read"):
        read_columns(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(pickle.dumps(Hostile(mark)))
    with pytest.raises(DataError, match=r"b\.npz cannot be read"):
        read_columns(tmp_path / "b.npz")
    assert not mark.exists()


def test_names_that_leave_the_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    content = header((2,)) + np.zeros(2).tobytes()
    archive(inner / "a.npz", {"../../x.npy": content, "/etc/y.npy": content})
    assert list(read_columns(inner / "a.npz")) == ["../../x", "/etc/y"]
    assert [path.name for path in tmp_path.rglob("*")] == ["inner", "a.npz"]


@pytest.mark.parametrize("shape", [(3, 10**9), (2, 10**5, 10**5), (1, 10**18)])
def test_an_npz_file_of_few_bytes_and_many_columns(tmp_path: Path, shape: tuple[int, ...]) -> None:
    archive(tmp_path / "a.npz", {"x.npy": header(shape)})
    with pytest.raises(DataError, match=r"'x' has \d+ columns; a table has at most 1000000"):
        column_names(tmp_path / "a.npz")


@pytest.mark.parametrize("rows", [10**3, 10**15, 10**18])
def test_an_npz_file_without_the_rows_that_it_claims(tmp_path: Path, rows: int) -> None:
    archive(tmp_path / "a.npz", {"x.npy": header((rows,))})
    with pytest.raises(DataError, match=r"a\.npz cannot be read"):
        read_columns(tmp_path / "a.npz")


def test_an_npz_file_with_a_header_that_is_code(tmp_path: Path) -> None:
    text = b"__import__('os').system('touch executed')\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    archive(tmp_path / "a.npz", {"x.npy": content})
    with pytest.raises(DataError, match=r"a\.npz cannot be read"):
        read_columns(tmp_path / "a.npz")


def test_extension_types_of_parquet(tmp_path: Path) -> None:
    """A type that Python would have to unpickle is read as what it is stored as."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    mark = tmp_path / "executed"
    field = pyarrow.field(
        "x",
        pyarrow.int64(),
        metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": pickle.dumps(Hostile(mark)),
        },
    )
    table = pyarrow.table({"x": [1, 2]}).cast(pyarrow.schema([field]))
    parquet.write_table(table, tmp_path / "a.parquet")
    assert read_columns(tmp_path / "a.parquet")["x"].tolist() == [1, 2]
    assert not mark.exists()


@pytest.mark.parametrize("link", ["external", "soft", "storage", "virtual"])
def test_links_of_hdf5_are_not_followed(tmp_path: Path, link: str) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["x"] = np.ones(3)
    (tmp_path / "raw").write_bytes(np.ones(3).tobytes())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["y"] = np.zeros(3)
        if link == "external":
            file["x"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/x")
        elif link == "soft":
            file["x"] = h5py.SoftLink("/nowhere")
        elif link == "storage":
            stored = [(str(tmp_path / "raw"), 0, 24)]
            file.create_dataset("x", (3,), dtype="<f8", external=stored)
        else:
            layout = h5py.VirtualLayout((3,), dtype="<f8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "x", (3,))
            file.create_virtual_dataset("x", layout)
    if link in ("external", "soft"):
        assert column_names(tmp_path / "a.h5") == ["y"]
    else:
        with pytest.raises(DataError, match="'x' is stored in another file"):
            read_columns(tmp_path / "a.h5")
