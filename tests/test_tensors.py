import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.tensors import describe, numpy_to_tensor, promote_to, promote_to_tensor


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int16", "bool", "complex64"])
def test_an_array_keeps_its_dtype_and_values(dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    tensor = numpy_to_tensor(array)
    assert str(tensor.dtype) == f"torch.{dtype}"
    assert tensor.shape == (2, 3)
    np.testing.assert_array_equal(tensor.numpy(), array)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4)[::-1, ::2],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.broadcast_to(np.arange(3.0), (2, 3)),  # read-only
        np.arange(3, dtype=">f8"),  # the other byte order
        np.array(2.5),
        np.float64(2.5),
        np.empty((0, 2)),
    ],
)
def test_any_layout_works(array):
    tensor = numpy_to_tensor(array)
    assert tensor.shape == array.shape
    assert tensor.dtype is torch.float64
    np.testing.assert_array_equal(tensor.numpy(), array)


def test_the_copy_is_a_copy():
    array = np.zeros(3)
    tensor = numpy_to_tensor(array, requires_grad=True)
    array[0] = 1
    assert tensor.tolist() == [0, 0, 0]
    assert tensor.requires_grad


def test_python_numbers_get_torchs_defaults():
    assert numpy_to_tensor([1.0, 2.0]).dtype is torch.float32
    assert numpy_to_tensor([[1], [2]]).dtype is torch.int64
    assert numpy_to_tensor(3.0).shape == ()
    assert numpy_to_tensor([1], dtype=torch.float64).dtype is torch.float64


@pytest.mark.parametrize("bad", [np.array(["a"]), np.array([None, 1]), [[1], [1, 2]], "text"])
def test_no_numbers(bad):
    with pytest.raises(DataError, match=r"cannot become a tensor.*Expected numbers"):
        numpy_to_tensor(bad)


def test_promote_to_tensor_leaves_a_tensor_alone():
    x = torch.ones(2)
    assert promote_to_tensor(x) is x
    alias = promote_to_tensor(x, requires_grad=True)
    assert alias.requires_grad
    assert not x.requires_grad
    assert alias.data_ptr() == x.data_ptr()
    assert promote_to_tensor(x, dtype=torch.float64).dtype is torch.float64
    assert promote_to_tensor(2.0).shape == ()
    number = promote_to_tensor(1.2345, requires_grad=True)
    (number * number).backward()
    assert number.grad == 2 * torch.tensor(1.2345)
    assert not promote_to_tensor(1.2345).requires_grad
    y = torch.ones(2, requires_grad=True)
    assert promote_to_tensor(y, requires_grad=True) is y


@settings(deadline=None, max_examples=25)
@given(st.lists(st.floats(allow_nan=False), max_size=5))
def test_there_and_back(values):
    array = np.array(values)
    np.testing.assert_array_equal(promote_to(promote_to(array, torch.Tensor), np.ndarray), array)


def test_promote_to():
    assert promote_to(torch.tensor([[2.0]], requires_grad=True), float) == 2.0
    assert promote_to(3, float) == 3.0
    assert isinstance(promote_to([1.0], np.ndarray), np.ndarray)
    assert isinstance(promote_to(np.ones(2), torch.Tensor), torch.Tensor)
    with pytest.raises(ShapeError, match="exactly one element"):
        promote_to([1.0, 2.0], float)
    with pytest.raises(DataError, match=r"expected torch\.Tensor"):
        promote_to([1.0], int)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.ones(2, 3), r"a tensor of shape \(2, 3\) and dtype torch.float32"),
        (np.ones(2), r"a NumPy array of shape \(2,\) and dtype float64"),
        ({"a": 1, "b": 2}, "a dict with the keys 'a', 'b'"),
        ({}, "an empty dict"),
        ((1,), "a tuple of 1 element$"),
        ([1, 2], "a list of 2 elements"),
        (None, "None"),
        (object(), "an object of type object"),
    ],
)
def test_describe(value, text):
    assert re.match(text, describe(value))
