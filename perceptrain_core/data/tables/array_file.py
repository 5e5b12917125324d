"""Arrays in NPZ and HDF5 files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from perceptrain_core.data.tables.columns import Columns, as_text, columns_of_arrays
from perceptrain_core.errors import DataError, MissingDependencyError

_MOST_COLUMNS = 10**6


class NpzTable:
    """Arrays that ``numpy.savez`` wrote; objects, which would be unpickled, are refused.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._arrays = _parts(_npz_shapes(path))
        self.names = [name for parts in self._arrays.values() for name in parts]

    def chunks(self, names: Sequence[str], rows: int, text: Collection[str]) -> Iterator[Columns]:
        """Yield the columns of at most ``rows`` rows at a time."""
        with ZipFile(self._path) as archive, ExitStack() as stack:
            members, wanted = set(archive.namelist()), {}
            for key in _keys(self._arrays, names):
                member = key if key in members else f"{key}.npy"
                wanted[key] = _member(stack.enter_context(archive.open(member)))
            yield from _slices(wanted, names, rows, text)


class Hdf5Table:
    """The data sets of an HDF5 file, named by their path; links to other files are ignored.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        try:
            import h5py
        except ImportError as error:
            raise MissingDependencyError(
                'HDF5 files need h5py: pip install "perceptrain-core[hdf5]".'
            ) from error
        self._file = h5py.File(path, "r")
        self._sets: dict[str, Any] = {}
        self._file.visititems(self._add)
        self._arrays = _parts({name: each.shape for name, each in self._sets.items()})
        self.names = [name for parts in self._arrays.values() for name in parts]

    def chunks(self, names: Sequence[str], rows: int, text: Collection[str]) -> Iterator[Columns]:
        """Yield the columns of at most ``rows`` rows at a time."""
        wanted = {key: self._sets[key] for key in _keys(self._arrays, names)}
        yield from _slices(wanted, names, rows, text)

    def _add(self, name: str, item: Any) -> None:
        if not hasattr(item, "dtype"):
            return  # a group
        if item.external or item.is_virtual:
            raise DataError(f"{name!r} is stored in another file: copy it into this one.")
        if item.shape is not None:
            self._sets[name] = item.asstr() if item.dtype.kind in "OS" else item


class _MemberRows:
    """The rows of an array in an NPZ file, read one part after the other, never all at once.

    The file is not mapped: reading it, compressed or not, also checks that it is undamaged.
    """

    def __init__(self, file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self._file, self._dtype = file, dtype

    def __getitem__(self, part: slice) -> NDArray[Any]:
        """Return the next rows."""
        rows = min(part.stop, self.shape[0]) - part.start
        size = rows * prod(self.shape[1:]) * self._dtype.itemsize
        data = self._file.read(size)
        if len(data) < size:
            raise EOFError(f"there are {len(data)} bytes where {size} should follow")
        return np.frombuffer(data, self._dtype).reshape(rows, *self.shape[1:])


def _member(file: IO[bytes]) -> _MemberRows | NDArray[Any]:
    start = file.tell()
    shape, by_columns, dtype = read_npy_header(file)
    row_bytes = prod(shape[1:]) * dtype.itemsize
    if dtype.hasobject or not shape or (by_columns and len(shape) > 1) or not row_bytes:
        file.seek(start)
        return np.atleast_1d(npy.read_array(file, allow_pickle=False))
    return _MemberRows(file, shape, dtype)


def read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return the shape, whether it is stored by columns, and the dtype of an NPY file."""
    major, _ = npy.read_magic(file)
    read = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
    return read(file)


def _npz_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Read the shapes alone: an array that is not asked for may be large, or not readable."""
    shapes = {}
    with ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                shapes[member.removesuffix(".npy")] = read_npy_header(file)[0]
    return shapes


def _parts(shapes: dict[str, tuple[int, ...]]) -> dict[str, list[str]]:
    """Return the names of the columns of each array.

    Raises:
        DataError: There are more than a million: a file of a few bytes can claim any shape.
    """
    wide = {name: prod(shape[1:]) for name, shape in shapes.items()}
    if sum(wide.values()) > _MOST_COLUMNS:
        name = max(wide, key=lambda name: wide[name])
        raise DataError(f"{name!r} has {wide[name]} columns; a table has at most {_MOST_COLUMNS}.")
    return {
        name: [name] if len(shape) < 2 else [f"{name}[{i}]" for i in range(prod(shape[1:]))]
        for name, shape in shapes.items()
    }


def _keys(arrays: dict[str, list[str]], names: Sequence[str]) -> list[str]:
    wanted = set(names)
    return [name for name, parts in arrays.items() if not wanted.isdisjoint(parts)]


def _slices(
    arrays: dict[str, Any], names: Sequence[str], rows: int, text: Collection[str]
) -> Iterator[Columns]:
    lengths = {name: array.shape[0] if array.shape else 0 for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the arrays differ in length: {lengths}.")
    for start in range(0, max(lengths.values()), rows):
        columns = columns_of_arrays({n: a[start : start + rows] for n, a in arrays.items()})
        yield {n: as_text(columns[n]) if n in text else columns[n] for n in names}
