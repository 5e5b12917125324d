"""The tensors of a batch, and what makes two batches of one kind."""

from __future__ import annotations

from collections import OrderedDict, UserDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.capturing import NotCapturable
from perceptrain_core.data.support.device import with_fields, with_items
from perceptrain_core.tensors import describe

_PLAIN = (str, int, float, bool, bytes, type(None), Enum, torch.dtype, torch.device)


def leaves_of(batch: Any) -> tuple[list[Tensor], Hashable]:
    """Return the tensors of a batch, and its kind: all else that a graph takes as given.

    Args:
        batch: Tensors in tuples, lists, dicts and dataclasses, nested to any depth, with plain
            values.

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
    if isinstance(part, dict | UserDict):
        return _mapping_kind(part, leaves)
    if is_dataclass(part) and not isinstance(part, type):
        return _fields_kind(part, leaves)
    raise NotCapturable(
        f"a batch has {describe(part)}: use tensors in tuples, lists, dicts or dataclasses"
    )


def _mapping_kind(part: Any, leaves: list[Tensor]) -> Hashable:
    """Return the kind of a dict with a class of its own."""
    own = [_kind(each, leaves) for each in part.values()]
    factory = getattr(part, "default_factory", None)
    return type(part), factory, *part, *own, *_attributes(part, {"data"})


def _fields_kind(part: Any, leaves: list[Tensor]) -> Hashable:
    """Return the kind of a dataclass object."""
    names = [each.name for each in fields(part) if hasattr(part, each.name)]
    own = [_kind(getattr(part, name), leaves) for name in names]
    kinds: list[Any] = [type(part), *names, *own, *_attributes(part, {*names})]
    return tuple(kinds)


def _attributes(part: Any, left_out: set[str]) -> list[Hashable]:
    """Return the kinds of the attributes that are copied with a part of a batch, but not moved.

    Raises:
        NotCapturable: One has a tensor.
    """
    found: list[Tensor] = []
    named = {n: value for n, value in getattr(part, "__dict__", {}).items() if n not in left_out}
    kinds = [(name, _kind(value, found)) for name, value in named.items()]
    if found:
        raise NotCapturable(
            f"a {type(part).__name__} of a batch has a tensor in an attribute: make it a field"
        )
    return [*kinds]


def _rebuilt(part: Any, leaves: Iterator[Tensor]) -> Any:
    kind = type(part)
    if kind is Tensor:
        return next(leaves)
    if isinstance(part, dict | UserDict):
        return with_items(part, {key: _rebuilt(each, leaves) for key, each in part.items()})
    if isinstance(part, tuple | list):
        parts = [_rebuilt(each, leaves) for each in part]
        return kind(*parts) if hasattr(part, "_fields") else kind(parts)
    if is_dataclass(part) and not isinstance(part, type):
        return with_fields(part, lambda each: _rebuilt(each, leaves))
    return part
