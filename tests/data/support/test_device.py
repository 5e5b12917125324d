from __future__ import annotations

from collections import OrderedDict, UserDict, defaultdict
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_sequence

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


def test_mappings_keep_their_type_and_what_else_they_hold() -> None:
    class Keyed(dict):  # type: ignore[type-arg]
        def __init__(self) -> None:
            super().__init__(x=torch.zeros(1))

    class Encoding(UserDict):  # type: ignore[type-arg]
        def __init__(self, data: Any, text: str) -> None:
            super().__init__(data)
            self.text = text

        def to(self, device: Any) -> Any:
            raise AssertionError("its own way changes it in place")

    assert type(data_to_device(Keyed(), "meta")) is Keyed
    lists = defaultdict(list, x=torch.zeros(1))
    assert data_to_device(lists, "meta").default_factory is list
    encoding = Encoding({"x": torch.zeros(1), "ids": torch.arange(3)}, "words")
    moved = data_to_device(encoding, "meta", torch.float64)
    assert (type(moved), moved.text) == (Encoding, "words")
    assert (moved["x"].device.type, moved["x"].dtype) == ("meta", torch.float64)
    assert moved["ids"].dtype is torch.int64
    assert encoding["x"].device.type == "cpu"
    proxy = data_to_device(MappingProxyType({"x": torch.zeros(1)}), "meta")
    assert proxy["x"].device.type == "meta"


@dataclass
class Plain:
    x: Tensor
    rest: dict[str, Tensor]
    name: str = "a"


@dataclass(frozen=True, slots=True)
class Frozen:
    x: Tensor
    rest: dict[str, Tensor]


@dataclass
class Counted:
    x: Tensor
    rest: dict[str, Tensor]
    rows: int = field(init=False)
    unset: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows = len(self.x)


@pytest.mark.parametrize("kind", [Plain, Frozen, Counted])
def test_dataclasses(kind: Any) -> None:
    batch = kind(torch.zeros(2), {"mask": torch.ones(2, dtype=torch.bool)})
    moved = data_to_device(batch, "meta", torch.float64)
    assert type(moved) is kind
    assert (moved.x.device.type, moved.x.dtype) == ("meta", torch.float64)
    assert moved.rest["mask"].dtype is torch.bool
    assert batch.x.device.type == batch.rest["mask"].device.type == "cpu"
    assert getattr(moved, "rows", 2) == 2
    assert data_to_device(kind, "meta") is kind


def test_objects_that_move_themselves() -> None:
    class Graph:
        def __init__(self, x: Tensor) -> None:
            self.x = x

        def to(self, device: Any) -> Graph:
            return Graph(self.x.to(device))

    graph = Graph(torch.zeros(2))
    assert data_to_device({"graph": graph}, "meta")["graph"].x.device.type == "meta"
    assert data_to_device(graph, None, torch.float64) is graph
    assert data_to_device(Graph, "meta") is Graph


def test_packed_sequence() -> None:
    packed = pack_sequence([torch.ones(3), torch.ones(2)])
    moved = data_to_device((packed, 1), "cpu", torch.float64)[0]
    assert type(moved) is PackedSequence
    assert (moved.data.dtype, moved.batch_sizes.dtype) == (torch.float64, torch.int64)
    whole = pack_sequence([torch.arange(3)])
    assert data_to_device(whole, None, torch.float64).data.dtype is torch.int64


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("dtype", [None, torch.float64])
@pytest.mark.parametrize("pinned", [False, True])
def test_pinned_memory_is_not_waited_for(asked: bool, dtype: Any, pinned: bool) -> None:
    taken = []

    class Watched(Tensor):
        def is_pinned(self, *args: Any) -> bool:
            return pinned

        def to(self, *args: Any, **options: Any) -> Tensor:  # type: ignore[override]
            taken.append(options["non_blocking"])
            return torch.zeros(1)

    data_to_device([torch.zeros(1).as_subclass(Watched)], "meta", dtype, asked)
    assert taken == [asked or pinned]


def test_sparse_and_complex_tensors() -> None:
    sparse = torch.eye(3).to_sparse()
    moved = data_to_device(sparse, dtype=torch.float64)
    assert moved.is_sparse
    assert moved.dtype is torch.float64
    waves = torch.zeros(2, dtype=torch.complex64)
    assert data_to_device(waves, dtype=torch.float64) is waves


@pytest.mark.parametrize("nothing", [None, 3, "text", ()])
def test_no_tensors(nothing: Any) -> None:
    assert data_to_device(nothing, "meta", torch.float64) == nothing
