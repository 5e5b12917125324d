"""Numbers, lists and arrays to tensors and back; nothing here changes a global default."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from perceptrain_core.errors import DataError, ShapeError

_Kind = TypeVar("_Kind", bound=Tensor | np.ndarray | float)


def numpy_to_tensor(
    x: Any,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Copy an array into a new tensor, which shares no memory with it.

    Args:
        x: A NumPy array of any layout, read-only ones too; or a number or nested list of them.
        device: Where the tensor goes.
        dtype: Its dtype. By default an array keeps its own, and Python numbers get what
            ``torch.tensor`` gives them (floats the default dtype, float32 unless changed).
        requires_grad: Whether gradients are recorded for it.

    Returns:
        A tensor of the shape of ``x``.

    Raises:
        DataError: ``x`` holds something else than numbers, or its rows differ in length.
    """
    try:
        source = _native(x) if isinstance(x, np.ndarray | np.generic) else x
        tensor = torch.tensor(source, dtype=dtype, device=device)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{describe(x)} cannot become a tensor: {error}. Expected numbers in rows of one "
            "length; convert the values first, for example with x.astype(numpy.float32)."
        ) from error
    return tensor.requires_grad_(requires_grad)


def promote_to_tensor(
    x: Any,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    requires_grad: bool = False,
) -> Tensor:
    """Give ``x`` as a tensor; one that is a tensor already is not copied without need.

    Args:
        x: A tensor, an array, a number or a nested list of numbers.
        device: Where the tensor goes; by default a tensor stays and anything else goes to the CPU.
        dtype: Its dtype; by default that of ``x``, see `numpy_to_tensor`.
        requires_grad: Whether the result must record gradients. A tensor that is given is never
            changed: if it does not record them, the result is an alias that does.

    Returns:
        A tensor of the shape of ``x``.

    Raises:
        DataError: ``x`` holds something else than numbers.
    """
    if not isinstance(x, Tensor):
        return numpy_to_tensor(x, device or "cpu", dtype, requires_grad)
    tensor = x.to(device=device, dtype=dtype)
    if requires_grad and not tensor.requires_grad:
        return tensor.detach().requires_grad_()
    return tensor


def promote_to(x: Any, dtype: type[_Kind]) -> _Kind:
    """Give ``x`` as another kind of object.

    Args:
        x: A tensor, an array, a number or a nested list of numbers.
        dtype: The kind: ``torch.Tensor``, ``numpy.ndarray`` or ``float``. An array made from a
            tensor on the CPU shares its memory.

    Returns:
        ``x`` as that kind.

    Raises:
        ShapeError: A float is asked for, and ``x`` has not exactly one element.
        DataError: ``dtype`` is no such kind, or ``x`` holds something else than numbers.
    """
    if dtype not in (Tensor, np.ndarray, float):
        raise DataError(
            f"promote_to cannot give {dtype!r}; it gives torch.Tensor, numpy.ndarray or float."
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


class Detached(dict[str, Any]):
    """Values by name that have no graph, and that nobody changes: there is nothing to cut.

    What is put in later is no such value.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.own = dict(values)


def detached(values: Mapping[str, Any]) -> dict[str, Any]:
    """Cut every tensor of a dict from its graph; anything else stays as it is.

    One that is not made anew by the computation, such as a parameter, is copied: it may change.
    """
    own = values.own if isinstance(values, Detached) else {}
    return {
        name: _cut(v) if isinstance(v, Tensor) and own.get(name) is not v else v
        for name, v in values.items()
    }


def _cut(tensor: Tensor) -> Tensor:
    shared = tensor.grad_fn is None or tensor._is_view()
    return tensor.detach().clone() if shared else tensor.detach()


def graph_nodes(tensors: Iterable[Tensor]) -> Iterator[Any]:
    """Walk the graphs of tensors, and give each node once; nothing is computed."""
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
    """Give the parts of a tuple, list, mapping or dataclass; ``None`` for anything else."""
    if isinstance(value, tuple | list):
        return list(value)
    if isinstance(value, Mapping):
        return list(value.values())
    if is_dataclass(value):
        return [getattr(value, field.name, None) for field in fields(value)]
    return None


def describe(value: object) -> str:
    """Say in a few words what ``value`` is, for the message of an error."""
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
