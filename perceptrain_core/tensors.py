"""Conversions between numbers, lists, arrays and tensors, without changing global defaults."""

from __future__ import annotations

import numbers
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from perceptrain_core.errors import DataError, ShapeError
from perceptrain_core.types import Counted

_Kind = TypeVar("_Kind", bound=Tensor | np.ndarray | float)


def numpy_to_tensor(
    x: Any,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Copy an array into a new tensor, without sharing memory.

    Args:
        x: A NumPy array of any layout, also read-only; or a number or a nested list of numbers.
        device: The device of the tensor.
        dtype: Its dtype. By default an array keeps its own, and Python numbers get what
            ``torch.tensor`` chooses (floats the default dtype, float32 unless changed).
        requires_grad: Whether gradients are recorded for it.

    Returns:
        A tensor of the shape of ``x``.

    Raises:
        DataError: ``x`` contains anything but numbers, masked values, or rows that differ in
            length.
    """
    refuse_masked(x)
    try:
        source = _native(x) if isinstance(x, np.ndarray | np.generic) else x
        tensor = torch.tensor(source, dtype=dtype, device=device)
    except (TypeError, ValueError) as error:
        reason = str(error).rstrip(".")
        raise DataError(
            f"{describe(x)} cannot become a tensor: {reason}. Expected numbers in rows of one "
            "length; convert the values first, for example with x.astype(numpy.float32)."
        ) from error
    return tensor.requires_grad_(requires_grad)


def refuse_masked(x: Any) -> None:
    """Check that an array has no masked values; anything else has none.

    Raises:
        DataError: It has some.
    """
    if masked := int(np.ma.getmaskarray(x).sum()) if isinstance(x, np.ma.MaskedArray) else 0:
        raise DataError(
            f"The array of shape {x.shape} has {masked} masked values, and tensors have no mask. "
            "Fill them, x.filled(0.0), or drop their rows from all arrays: "
            "keep = ~np.ma.getmaskarray(x).any(axis=1), then x[keep].data and y[keep]."
        )


def promote_to_tensor(
    x: Any,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Convert ``x`` to a tensor; a tensor is copied only if its device or dtype changes.

    Args:
        x: A tensor, an array, a number or a nested list of numbers.
        device: The device; by default a tensor keeps its own and anything else goes to the CPU.
        dtype: Its dtype; by default that of ``x``, see `numpy_to_tensor`.
        requires_grad: Whether the result must record gradients. ``x`` itself is never changed: if
            it does not record gradients, the result is an alias that does.

    Returns:
        A tensor of the shape of ``x``.

    Raises:
        DataError: ``x`` contains anything but numbers.
    """
    if not isinstance(x, Tensor):
        return numpy_to_tensor(x, device or "cpu", dtype, requires_grad)
    tensor = x.to(device=device, dtype=dtype)
    if requires_grad and not tensor.requires_grad:
        return tensor.detach().requires_grad_()
    return tensor


def promote_to(x: Any, dtype: type[_Kind]) -> _Kind:
    """Convert ``x`` to a tensor, an array or a float.

    Args:
        x: A tensor, an array, a number or a nested list of numbers.
        dtype: The kind: ``torch.Tensor``, ``numpy.ndarray`` or ``float``. An array made from a
            tensor on the CPU shares its memory.

    Returns:
        ``x`` as that kind.

    Raises:
        ShapeError: ``dtype`` is float, and ``x`` does not have exactly one element.
        DataError: ``dtype`` is not one of these, or ``x`` contains anything but numbers.
    """
    if dtype not in (Tensor, np.ndarray, float):
        raise DataError(
            f"promote_to cannot convert to {dtype!r}; expected torch.Tensor, numpy.ndarray or "
            "float."
        )
    tensor = promote_to_tensor(x)
    if dtype is Tensor:
        return cast(_Kind, tensor)
    if dtype is np.ndarray:
        return cast(_Kind, tensor.detach().cpu().resolve_conj().resolve_neg().numpy())
    if tensor.numel() != 1:
        raise ShapeError(
            f"{describe(x)} cannot become one float; expected exactly one element. "
            "Pick it first, for example x[0]."
        )
    return cast(_Kind, float(tensor.item()))


def dense_real(gradient: Tensor) -> Tensor:
    """Return a gradient as a dense tensor of real numbers; complex ones get another dimension."""
    if gradient.is_sparse:
        gradient = gradient.to_dense()
    return torch.view_as_real(gradient) if gradient.is_complex() else gradient


class Detached(dict[str, Any]):
    """Named values without a graph that do not change, so that `detached` need not copy them.

    Values added later are copied as usual.

    Args:
        values: The values.
        like: What they are made from, if it is `Counted`: they are means over the same. Its values
            may have their graph.
    """

    def __init__(self, values: Mapping[str, Any], like: dict[str, Any]) -> None:
        super().__init__(values)
        self.own = dict(values)
        self.like = like


def detached(values: Mapping[str, Any]) -> dict[str, Any]:
    """Detach every tensor of a dict from its graph; other values are left unchanged.

    A tensor that the computation did not create, such as a parameter, is copied: it may change.
    """
    if not values and isinstance(values, Counted):
        return values
    own, like = (values.own, values.like) if isinstance(values, Detached) else ({}, values)
    cut = {
        name: _cut(v) if isinstance(v, Tensor) and own.get(name) is not v else v
        for name, v in values.items()
    }
    if not isinstance(like, Counted):
        return cut
    terms = like.terms and {
        name: weight.detach() if isinstance(weight, Tensor) else weight
        for name, weight in like.terms.items()
    }
    return Counted(cut, like.count, terms)


def _cut(tensor: Tensor) -> Tensor:
    shared = tensor.grad_fn is None or tensor._is_view()
    return tensor.detach().clone() if shared else tensor.detach()


def graph_nodes(tensors: Iterable[Tensor]) -> Iterator[Any]:
    """Yield each node in the autograd graphs of tensors once; nothing is computed."""
    seen: set[Any] = set()
    stack: list[Any] = [tensor.grad_fn for tensor in tensors]
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        stack.extend(following for following, _ in node.next_functions)


def parts_of(value: object) -> list[Any] | None:
    """Return the elements of a tuple, list, mapping or dataclass; ``None`` for anything else."""
    if isinstance(value, tuple | list):
        return list(value)
    if isinstance(value, Mapping):
        return list(value.values())
    if is_dataclass(value):
        return [getattr(value, field.name, None) for field in fields(value)]
    return None


def only_tensor(value: Any) -> Any:
    """Return the tensor of a tuple or list of one, such as a batch without labels, or the value."""
    if isinstance(value, Tensor) or not isinstance(value, tuple | list) or len(value) != 1:
        return value
    return value[0] if isinstance(value[0], Tensor) else value


def describe(value: object) -> str:
    """Describe a value in a few words, for error messages."""
    if isinstance(value, Tensor | np.ndarray):
        return f"a {_kind(value)} of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, Mapping):
        keys = ", ".join(repr(key) for key in value)
        return f"a dict with the keys {keys}" if keys else "an empty dict"
    if isinstance(value, tuple | list):
        plural = "" if len(value) == 1 else "s"
        return f"a {type(value).__name__} of {len(value)} element{plural}"
    if value is None or isinstance(value, numbers.Number):
        return repr(value)
    return f"an object of type {type(value).__name__}"


def _kind(value: Tensor | np.ndarray) -> str:
    return "tensor" if isinstance(value, Tensor) else "NumPy array"


def _native(array: np.ndarray | np.generic) -> np.ndarray:
    # torch reads neither negative strides nor the other byte order.
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")).reshape(array.shape)


def is_sharded(value: Any) -> bool:
    """Whether a value is a ``DTensor``, of which each process has a part."""
    module = sys.modules.get("torch.distributed.tensor")  # slow to import, and seldom needed
    return module is not None and isinstance(value, module.DTensor)


def local(tensor: Any) -> Any:
    """Return the share of this process of a ``DTensor``, and any other tensor as it is."""
    return tensor.to_local() if is_sharded(tensor) else tensor
