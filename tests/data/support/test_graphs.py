"""Batches that were computed from tensors with ``requires_grad``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from perceptrain_core.data import to_dataloader
from perceptrain_core.data.support.graphs import as_leaves
from perceptrain_core.tensors import parts_of


@dataclass(frozen=True)
class Points:
    x: Tensor
    name: str = "pde"


class Pair(NamedTuple):
    x: Tensor
    y: Tensor


def points() -> Tensor:
    return torch.rand(6, 1, requires_grad=True) * 2 - 1


def tensors_of(batch: Any) -> list[Tensor]:
    if isinstance(batch, Tensor):
        return [batch]
    return [each for part in parts_of(batch) or () for each in tensors_of(part)]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda x: x,
        lambda x: (x, torch.ones(6, 1)),
        lambda x: [x],
        lambda x: Pair(x, x),
        lambda x: {"pde": x, "names": ["a", None]},
        lambda x: defaultdict(list, pde=(x,)),
        lambda x: Points(x),
        lambda x: {"deep": [(Points(x), 3)]},
    ],
)
def test_tensors_of_any_batch_become_leaves(wrap: Callable[[Tensor], Any]) -> None:
    batch = wrap(points())
    found = as_leaves(batch)
    assert type(found) is type(batch)
    for old, new in zip(tensors_of(batch), tensors_of(found), strict=True):
        assert new.is_leaf
        assert new.requires_grad == old.requires_grad
        assert new.data_ptr() == old.data_ptr()
    assert not all(tensor.is_leaf for tensor in tensors_of(batch))  # it is not changed


@pytest.mark.parametrize("batch", [torch.ones(3), (torch.ones(3), "a"), {"a": None}, 3, None])
def test_a_batch_without_a_graph_comes_back_itself(batch: Any) -> None:
    assert as_leaves(batch) is batch
    leaf = torch.ones(3, requires_grad=True)
    assert as_leaves((leaf,))[0] is leaf


def test_what_was_computed_from_a_parameter_keeps_its_graph() -> None:
    embedded = nn.Embedding(4, 2)(torch.arange(4))
    plain = torch.ones(4, requires_grad=True)
    optimizer = torch.optim.SGD([plain], lr=0.1)
    shifted = plain + 1
    assert as_leaves([embedded])[0] is embedded
    assert as_leaves([shifted], optimizer)[0] is shifted
    assert as_leaves([shifted])[0].is_leaf


@pytest.mark.parametrize("infinite", [False, True])
def test_a_loader_of_points_with_a_graph(infinite: bool) -> None:
    x = points()
    batches = iter(to_dataloader(x, batch_size=3, infinite=infinite))
    for (batch,) in (next(batches), next(batches)):
        assert batch.requires_grad
        batch.square().sum().backward()
    assert x.grad_fn is not None
