import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptrain import get_loss
from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.losses.support.shapes import same_shape

SHAPES = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@settings(deadline=None, max_examples=50)
@given(SHAPES, SHAPES)
def test_only_equal_shapes_pass(first, second):
    outputs, labels = torch.ones(first), torch.ones(second)
    if first == second:
        a, b = same_shape(outputs, labels)
        assert a is outputs
        assert b is labels
    else:
        with pytest.raises(ShapeError) as error:
            same_shape(outputs, labels)
        assert str(first) in str(error.value)
        assert str(second) in str(error.value)


def test_the_way_to_mend_it_is_shown():
    with pytest.raises(ShapeError, match=r"labels\.unsqueeze\(-1\), or .*output\.squeeze\(-1\)"):
        same_shape(torch.ones(3, 1), torch.ones(3))
    with pytest.raises(ShapeError, match=r"labels\.squeeze\(-1\), or .*output\.unsqueeze\(-1\)"):
        same_shape(torch.ones(3), torch.ones(3, 1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.bool, torch.bfloat16])
def test_dtypes_are_named(dtype):
    with pytest.raises(DataError, match=rf"torch.float32 and .* {dtype}; .*to\(torch.float32\)"):
        same_shape(torch.ones(2), torch.ones(2, dtype=dtype))


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("high", [torch.float32, torch.float64])
def test_outputs_that_autocast_lowered_are_raised(low, high):
    outputs, _ = same_shape(torch.ones(2, dtype=low), torch.ones(2, dtype=high))
    assert outputs.dtype is high


@pytest.mark.parametrize("labels", [None, [1.0], 3, {"a": 1}])
def test_labels_that_are_no_tensor(labels):
    with pytest.raises(DataError, match="expected a tensor to compare"):
        same_shape(torch.ones(1), labels)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 2, 2)])
@pytest.mark.parametrize("loss", ["mse", "huber", "l1", "smooth_l1", "quantile", "gaussian_nll"])
def test_class_indices_are_not_numbers(loss, shape):
    labels = torch.zeros(shape[:1] + shape[2:], dtype=torch.int64)
    with pytest.raises((ShapeError, DataError), match=r"as class indices are.*use cross_entropy"):
        get_loss(loss)((torch.randn(shape), labels), torch.nn.Identity())


def test_numbers_are_not_class_indices():
    with pytest.raises(ShapeError, match=r"always 0\. The labels are floats: for numbers use mse"):
        get_loss("cross_entropy")((torch.randn(4, 1), torch.randn(4, 1)), torch.nn.Identity())
    labels = torch.zeros(4, dtype=torch.int64)
    with pytest.raises(ShapeError, match=r"always 0\. Add an output for each class"):
        get_loss("cross_entropy")((torch.randn(4, 1), labels), torch.nn.Identity())
