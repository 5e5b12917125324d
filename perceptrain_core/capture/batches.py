"""The tensors of a batch, and what makes two batches of one kind."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
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


def with_leaves(batch: Any, leaves: Sequence[Tensor]) -> Any:
    """Return a batch with other tensors, in new containers that a loss may change.

    Args:
        batch: A batch.
        leaves: As many tensors as `leaves_of` returns.
    """
    return _rebuilt(batch, iter(leaves))


def _kind(part: Any, leaves: list[Tensor]) -> Hashable:
    kind = type(part)
    if kind is Tensor:
        if part.layout is not torch.strided or part.grad_fn is not None:
            raise NotCapturable("a batch has a sparse tensor, or one with a graph")
        leaves.append(part)
        return part.shape, part.stride(), part.dtype, part.device, part.requires_grad
    if kind is tuple or kind is list or hasattr(part, "_fields"):
        return kind, *[_kind(each, leaves) for each in part]
    if kind is dict or kind is OrderedDict:
        return kind, *part, *[_kind(each, leaves) for each in part.values()]
    if isinstance(part, _PLAIN):
        return kind, part
    found = describe(part) if not isinstance(part, dict) else f"a {kind.__name__}"
    raise NotCapturable(f"a batch has {found}")


def _rebuilt(part: Any, leaves: Iterator[Tensor]) -> Any:
    kind = type(part)
    if kind is Tensor:
        return next(leaves)
    if isinstance(part, dict):
        return kind((key, _rebuilt(each, leaves)) for key, each in part.items())
    if isinstance(part, tuple | list):
        parts = [_rebuilt(each, leaves) for each in part]
        return kind(*parts) if hasattr(part, "_fields") else kind(parts)
    return part
