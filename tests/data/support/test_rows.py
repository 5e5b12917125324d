from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from perceptrain.errors import DataError
from perceptrain_core.data.support.rows import as_rows, is_mapped


@pytest.fixture
def mapped(tmp_path: Path) -> Any:
    """Map values from a file."""

    def of(values: np.ndarray, mode: Any = "r") -> Any:
        np.save(tmp_path / "x.npy", values)
        return np.load(tmp_path / "x.npy", mmap_mode=mode)

    return of


def test_tensor_is_returned_and_array_in_memory_is_copied() -> None:
    tensor, array = torch.ones(3), np.ones(3)
    assert as_rows(tensor) is tensor
    copied = as_rows(array)
    array[0] = 5
    assert copied.tolist() == [1, 1, 1]
    assert not is_mapped(copied)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i8", "u1", "?", "c8"])
def test_array_in_a_file_is_shared(mapped: Any, mode: str, dtype: str) -> None:
    values = np.arange(12).reshape(4, 3).astype(dtype)
    array = mapped(values, mode)
    tensor = as_rows(array)
    assert is_mapped(tensor)
    assert tensor.data_ptr() == array.ctypes.data
    assert torch.equal(tensor, torch.from_numpy(values))


def test_so_is_a_view_of_one(mapped: Any) -> None:
    array = mapped(np.arange(24.0).reshape(6, 4))
    for view in (array[2:], array[::2, 1:], array.T, np.asarray(array), array.view(np.ndarray)[1:]):
        tensor = as_rows(view)
        assert is_mapped(tensor)
        assert np.array_equal(tensor.numpy(), view)


def test_what_is_computed_from_one_is_in_memory(mapped: Any) -> None:
    array = mapped(np.arange(24.0).reshape(6, 4))
    assert not is_mapped(as_rows(array * 2))
    assert not is_mapped(as_rows(array[[3, 1]]))


def test_what_torch_cannot_represent_is_copied(mapped: Any) -> None:
    array = mapped(np.arange(6.0).reshape(2, 3).astype(">f4"))
    for other in (array, array[::-1], mapped(np.arange(6.0))[::-1]):
        tensor = as_rows(other)
        assert not is_mapped(tensor)
        assert np.array_equal(tensor.numpy(), other)


def test_values_that_are_not_aligned_are_copied(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"-" + np.arange(3.0).tobytes())
    array = np.memmap(tmp_path / "x.bin", np.float64, "r", offset=1)
    tensor = as_rows(array)
    assert tensor.tolist() == [0, 1, 2]
    assert not is_mapped(tensor)


def test_masked_values_and_text_are_refused(mapped: Any) -> None:
    array = mapped(np.arange(3.0))
    with pytest.raises(DataError, match="1 masked value"):
        as_rows(np.ma.masked_equal(array, 1))
    with pytest.raises(DataError, match="cannot become a tensor"):
        as_rows(mapped(np.array(["a", "b"])))
