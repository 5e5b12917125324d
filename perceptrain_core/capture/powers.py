"""Numbers that a compiled graph computes once, not again and again within a loop."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, fx

#: Elements of a tensor; with fewer, storing a number takes longer than computing it again.
_MANY = 256


def compute_powers_once(graph: fx.Graph) -> None:
    """Keep powers of numbers, and what is computed from them, out of the loops over tensors.

    Optimizers such as Adam raise their betas to the number of the step. The compiler computes that
    in the loop over the elements of a parameter, for every few of them, which takes longer than
    the rest of the loop. It stores what ``as_strided`` is called with, and reads it in the loop.

    Args:
        graph: A recorded graph. Its values stay the same.
    """
    powers: set[fx.Node] = set()
    for node in [*graph.nodes]:
        if node.op != "call_function" or _value(node) is None or cast(Tensor, _value(node)).ndim:
            continue
        if _is_power(node) or not powers.isdisjoint(node.all_input_nodes):
            powers.add(node)
            if large := [user for user in node.users if _is_large(user)]:
                with graph.inserting_after(node):
                    stored = graph.call_function(torch.ops.aten.as_strided.default, (node, [], []))
                for user in large:
                    user.replace_input_with(node, stored)


def _is_power(node: fx.Node) -> bool:
    return getattr(node.target, "overloadpacket", None) is torch.ops.aten.pow


def _is_large(node: fx.Node) -> bool:
    value = _value(node)
    return value is not None and value.numel() > _MANY


def _value(node: fx.Node) -> Tensor | None:
    """Return the tensor that the node stood for when it was recorded, if it was one."""
    value = node.meta.get("val")
    return value if isinstance(value, Tensor) else None
