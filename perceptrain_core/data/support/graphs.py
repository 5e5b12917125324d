"""Batches that were computed from tensors with ``requires_grad``, such as points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from torch import Tensor, nn

from perceptrain_core.data.support.device import with_fields, with_items
from perceptrain_core.parameters import parameters_of
from perceptrain_core.tensors import graph_nodes, parts_of


def as_leaves(xs: Any, *owners: object) -> Any:
    """Detach the tensors of a batch from the graphs that they were computed in.

    ``torch.rand(20, 1, requires_grad=True) * 2 - 1`` has a graph, which the first backward pass
    through it would free: the second one would fail. A tensor that was computed from a parameter
    keeps its graph, because the parameter may be trained through it.

    Args:
        xs: A batch, as for `data_to_device`; it is not changed.
        owners: Optimizers and modules, whose parameters count even if they are plain tensors.

    Returns:
        The batch, with an alias that is a leaf, and still requires gradients, for each such tensor.
    """
    return _detach(xs, set(parameters_of(*owners))) if _has_graph(xs) else xs


def _has_graph(xs: Any) -> bool:
    if isinstance(xs, Tensor):
        return xs.grad_fn is not None
    # The common kinds first, and no calls for their tensors: this runs for every batch.
    kind = type(xs)
    known = kind is tuple or kind is list
    parts = xs if known else xs.values() if kind is dict else parts_of(xs)
    for part in parts or ():
        if part.grad_fn is not None if isinstance(part, Tensor) else _has_graph(part):
            return True
    return False


def _detach(xs: Any, trained: set[Tensor]) -> Any:
    if isinstance(xs, Tensor):
        return xs if _is_kept(xs, trained) else xs.detach().requires_grad_()
    if isinstance(xs, tuple | list):
        items = [_detach(value, trained) for value in xs]
        if isinstance(xs, list):
            return items
        return type(xs)(*items) if hasattr(xs, "_fields") else tuple(items)
    if isinstance(xs, Mapping):
        named = {key: _detach(value, trained) for key, value in xs.items()}
        return named if type(xs) is dict else with_items(xs, named)
    if is_dataclass(xs) and not isinstance(xs, type):
        return with_fields(xs, lambda value: _detach(value, trained))
    return xs


def _is_kept(tensor: Tensor, trained: set[Tensor]) -> bool:
    """Whether a tensor is a leaf, or was computed from a parameter."""
    if tensor.grad_fn is None:
        return True
    leaves = (getattr(node, "variable", None) for node in graph_nodes([tensor]))
    return any(isinstance(leaf, nn.Parameter) or leaf in trained for leaf in leaves)
