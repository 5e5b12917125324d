"""A state without its tensors: take them out under names, and put others in their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.tensors import is_sharded

Place = tuple[Any, ...]


def has_shards(state: Any) -> bool:
    """Whether there is a ``DTensor`` in a state."""
    return any(is_sharded(leaf) for _, leaf in leaves(state))


def share_of(state: Any, rank: int) -> Any:
    """Return what a process writes of a state: only the first writes more than its shards."""
    if rank == 0:
        return state
    return replaced(state, lambda _, leaf: leaf if is_sharded(leaf) else None)


def gathered(state: Any, rank: int) -> Any:
    """Return a state with whole tensors for each ``DTensor``; all processes call this.

    The tensors are on the CPU in the first process, and ``None`` in the others.
    """

    def whole(_: Place, leaf: Any) -> Any:
        if not is_sharded(leaf):
            return leaf
        full = leaf.full_tensor()
        return full.cpu() if rank == 0 else None

    return replaced(state, whole)


def divided_as(own: Mapping[str, Any], saved: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return saved tensors that are divided between the processes as those of a state dict are.

    All processes call this.

    Args:
        own: A state dict.
        saved: Whole tensors and ``DTensor`` objects by the same names.
    """
    if not has_shards([*own.values(), *saved.values()]):
        return saved
    same = copy(saved)  # with the versions that torch saves beside the tensors
    for name, value in saved.items():
        same[name] = _divided_as(own.get(name), value)  # type: ignore[index]
    return same


def _divided_as(own: Any, value: Any) -> Any:
    if is_sharded(own) and not is_sharded(value) and own.shape == value.shape:
        return part_of(value, own)
    return value.full_tensor() if is_sharded(value) and not is_sharded(own) else value


def part_of(whole: Tensor, like: Any) -> Any:
    """Return the part of this process of a whole tensor, as a ``DTensor`` like another."""
    from torch.distributed.tensor import distribute_tensor

    whole = whole.to(like.device)
    return distribute_tensor(whole, like.device_mesh, like.placements, src_data_rank=None)


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield the leaves of nested dicts, lists and tuples, each with the keys that lead to it."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, (*place, key))
    elif type(value) in (list, tuple):
        for number, item in enumerate(value):
            yield from leaves(item, (*place, number))
    else:
        yield place, value


def replaced(value: Any, replace: Callable[[Place, Any], Any], place: Place = ()) -> Any:
    """Copy dicts, lists and tuples of the same types, with other leaves."""
    if isinstance(value, dict):
        same = copy(value)  # with the versions that torch saves beside the tensors
        for key, item in value.items():
            same[key] = replaced(item, replace, (*place, key))
        return same
    if type(value) in (list, tuple):
        pairs = enumerate(value)
        return type(value)(replaced(item, replace, (*place, number)) for number, item in pairs)
    return replace(place, value)


def taken_apart(state: Any) -> tuple[Any, dict[str, Tensor]]:
    """Take the tensors that can be divided out of a state.

    Returns:
        The state with a tensor of the same shape, strides and dtype on the device "meta" in the
        place of each; and the tensors in the order of their places, named after these, as in
        ``model.0.weight``.

    Raises:
        ValueError: A tensor of the state is on the device "meta" already.
    """
    tensors: dict[str, Tensor] = {}

    def take(place: Place, leaf: Any) -> Any:
        if is_outline(leaf):
            raise ValueError(f"{_name(place)} has no values: it is on the device 'meta'")
        if not _is_divisible(leaf):
            return leaf
        name = _name(place)
        while name in tensors:  # the keys 1 and "1", or keys with dots
            name += "'"
        tensors[name] = leaf
        return _outline(leaf)

    return replaced(state, take), tensors


def is_outline(leaf: Any) -> bool:
    """Whether a leaf stands for a tensor that `taken_apart` took out."""
    return isinstance(leaf, Tensor) and leaf.device.type == "meta"


def _is_divisible(leaf: Any) -> bool:
    """Whether DCP can write a tensor in parts, and give it back exactly."""
    if is_sharded(leaf):
        return True
    if type(leaf) is not Tensor or leaf.layout is not torch.strided or leaf.requires_grad:
        return False
    special = leaf.is_quantized or leaf.is_conj() or leaf.is_neg()
    return leaf.dim() > 0 and leaf.numel() > 0 and not special


def _outline(tensor: Tensor) -> Tensor:
    if is_sharded(tensor):  # its strides are those of the whole, but its methods give a DTensor
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    return torch.empty_like(tensor, device="meta")  # dense, also where a tensor is a view


def _name(place: Place) -> str:
    return ".".join(map(str, place))


def shared_names(tensors: dict[str, Tensor]) -> list[str]:
    """Return the name under which each tensor is written: tied weights have one."""
    first: dict[Any, str] = {}
    return [first.setdefault(_identity(name, tensor), name) for name, tensor in tensors.items()]


def _identity(name: str, tensor: Tensor) -> Any:
    """Return what two tensors with the same memory have in common."""
    own = tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]
    if own.numel() == 0:  # no memory to compare
        return name
    return own.device, own.data_ptr(), own.dtype, own.shape, own.stride(), tensor.shape
