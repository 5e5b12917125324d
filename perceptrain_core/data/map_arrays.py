"""Map the arrays of NPZ and HDF5 files, instead of reading them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from perceptrain_core.data.tables.array_file import read_npy_header
from perceptrain_core.errors import DataError, MissingDependencyError
from perceptrain_core.suggestions import nearest

# Of the header of a member in a ZIP file: its length, and where those of the name and of the
# extra field behind it are.
_HEADER, _LENGTHS = 30, slice(26, 30)


def map_arrays(path: str | Path, names: Iterable[str] | None = None) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file, mapped where the file allows it, otherwise read.

    Loaders read the rows of a mapped array batch by batch. Arrays can be mapped that
    ``numpy.savez`` wrote, and data sets of HDF5 that are neither chunked nor compressed. Those
    that ``numpy.savez_compressed`` wrote, and compressed or chunked data sets, are read whole.

    Where the values of an array begin in an NPZ file depends on the names before them. If this is
    not a multiple of their size (``array.flags.aligned`` is false), torch cannot read them there,
    and loaders copy the array to memory; a data set of your own may read row by row.

    Args:
        path: ``.npz``, ``.h5`` or ``.hdf5``.
        names: The names of the arrays, in HDF5 their paths; all by default.

    Returns:
        The arrays by name. The mapped ones are read-only.

    Raises:
        DataError: The file cannot be read, lacks an array, or an array holds objects.
        MissingDependencyError: The file is an HDF5 file, and h5py is not installed.
    """
    path = Path(path)
    formats = {".npz": _of_npz, ".h5": _of_hdf5, ".hdf5": _of_hdf5}
    if path.suffix.lower() not in formats:
        raise DataError(f"{path}: expected a file named .npz, .h5 or .hdf5.")
    try:
        return formats[path.suffix.lower()](path, None if names is None else list(names))
    except (DataError, MissingDependencyError):
        raise
    except Exception as error:  # each format has its own errors
        raise DataError(f"{path} cannot be read: {error}") from error


def _of_npz(path: Path, names: list[str] | None) -> dict[str, NDArray[Any]]:
    with ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        return {n: _member(path, archive, members[n]) for n in _wanted(path, names, members)}


def _wanted(path: Path, names: list[str] | None, known: Collection[str]) -> Collection[str]:
    for name in names or ():
        if name not in known:
            raise DataError(f"{path} has no array {name!r}; {nearest(name, known) or _list(known)}")
    return known if names is None else names


def _list(names: Collection[str]) -> str:
    return f"its arrays are {', '.join(names) or 'none'}."


def _member(path: Path, archive: ZipFile, member: ZipInfo) -> NDArray[Any]:
    is_encrypted = member.flag_bits & 1
    if member.compress_type == ZIP_STORED and not is_encrypted:
        with path.open("rb") as file:
            file.seek(member.header_offset)
            lengths = np.frombuffer(file.read(_HEADER)[_LENGTHS], "<u2")
            file.seek(int(lengths.sum()), 1)
            shape, by_columns, dtype = read_npy_header(file)
            if not dtype.hasobject and np.prod(shape):
                order: Any = "F" if by_columns else "C"
                return np.memmap(path, dtype, "r", file.tell(), shape, order)
    with archive.open(member) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def _of_hdf5(path: Path, names: list[str] | None) -> dict[str, NDArray[Any]]:
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(
            'HDF5 files need h5py: pip install "perceptrain-core[hdf5]".'
        ) from error
    with h5py.File(path, "r") as file:
        sets: dict[str, Any] = {}
        file.visititems(lambda name, item: sets.update({name: item} if _is_array(item) else {}))
        return {name: _data_set(path, name, sets[name]) for name in _wanted(path, names, sets)}


def _is_array(item: Any) -> bool:
    return getattr(item, "shape", None) is not None


def _data_set(path: Path, name: str, data: Any) -> NDArray[Any]:
    if data.external or data.is_virtual:
        raise DataError(f"{path}: {name!r} is stored in another file: copy it into this one.")
    if data.dtype.hasobject:
        raise DataError(f"{path}: {name!r} holds {data.dtype}; expected numbers.")
    offset = data.id.get_offset()  # none if it is chunked, or has no values
    if offset is None or not data.size:
        return np.asarray(data[()])
    return np.memmap(path, data.dtype, "r", offset, data.shape)
