from __future__ import annotations

from collections import OrderedDict
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from perceptrain import data_to_device


class Pair(NamedTuple):
    x: Tensor
    y: Tensor | None


def test_nested_batches_keep_their_types() -> None:
    x = torch.zeros(2)
    batch = {"a": [x, (x, Pair(x, None))], "b": OrderedDict(c=x), "n": 3, "s": "text", "e": None}
    moved = data_to_device(batch, "meta")
    assert type(moved) is dict
    assert type(moved["a"]) is list
    assert type(moved["a"][1]) is tuple
    assert type(moved["a"][1][1]) is Pair
    assert type(moved["b"]) is OrderedDict
    assert moved["a"][1][1].x.device.type == "meta"
    assert moved["b"]["c"].device.type == "meta"
    assert moved["a"][1][1].y is None
    assert (moved["n"], moved["s"], moved["e"]) == (3, "text", None)
    assert batch["a"][0] is x
    assert x.device.type == "cpu"


@pytest.mark.parametrize(
    ("dtype", "changes"),
    [
        (torch.float32, True),
        (torch.float16, True),
        (torch.int64, False),
        (torch.bool, False),
        (torch.uint8, False),
        (torch.complex64, False),
    ],
)
def test_dtype_is_for_floats_only(dtype: torch.dtype, changes: bool) -> None:
    """Class labels and masks keep their dtype, whatever the model's."""
    tensor = torch.zeros(3, dtype=dtype)
    moved = data_to_device(tensor, dtype=torch.float64)
    assert moved.dtype is (torch.float64 if changes else dtype)
    assert (moved is tensor) is not changes


@pytest.mark.parametrize("device", [None, "cpu", torch.device("cpu")])
def test_what_is_in_place_is_not_copied(device: Any) -> None:
    x = torch.zeros(3)
    assert data_to_device(x, device, torch.float32) is x


def test_mapping_that_cannot_be_rebuilt_becomes_a_dict() -> None:
    class Keyed(dict):  # type: ignore[type-arg]
        def __init__(self) -> None:
            super().__init__(x=torch.zeros(1))

    assert type(data_to_device(Keyed(), "meta")) is dict
    proxy = data_to_device(MappingProxyType({"x": torch.zeros(1)}), "meta")
    assert proxy["x"].device.type == "meta"


@pytest.mark.parametrize("nothing", [None, 3, "text", ()])
def test_no_tensors(nothing: Any) -> None:
    assert data_to_device(nothing, "meta", torch.float64) == nothing
