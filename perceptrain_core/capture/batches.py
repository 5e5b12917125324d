"""The tensors of a batch, and what makes two batches of one kind."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.capturing import NotCapturable
from perceptrain_core.tensors import describe

_PLAIN = (str, int, float, bool, bytes, type(None))


def leaves_of(batch: Any) -> tuple[list[Tensor], Hashable]:
    """Return the tensors of a batch, and its kind: all else that a graph takes as given.

    Args:
        batch: Tensors in tuples, lists and dicts, nested to any depth, with plain values.

    Raises:
        NotCapturable: It has something else.
    """
    leaves: list[Tensor] = []
    return leaves, _kind(batch, leaves)


def _kind(part: Any, leaves: list[Tensor]) -> Hashable:
    kind = type(part)
    if kind is Tensor:
        leaves.append(part)
        return part.shape, part.dtype, part.device, part.requires_grad
    if kind is tuple or kind is list:
        return kind, *[_kind(each, leaves) for each in part]
    if kind is dict:
        return kind, *part, *[_kind(each, leaves) for each in part.values()]
    if isinstance(part, _PLAIN):
        return kind, part
    if isinstance(part, tuple) and hasattr(part, "_fields"):
        return kind, *[_kind(each, leaves) for each in part]
    raise NotCapturable(f"a batch has {describe(part)}")


def dense(leaves: list[Tensor]) -> bool:
    """Whether all tensors are dense leaves of graphs."""
    return all(leaf.layout is torch.strided and leaf.grad_fn is None for leaf in leaves)
