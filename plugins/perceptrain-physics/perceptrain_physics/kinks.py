"""Activations with kinks, such as ReLU: their second derivative is zero."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from perceptrain import is_capturing, values_are_checked, warn_user

#: Names of piecewise linear activations by the node that their derivative leaves in a graph.
_KINKS = {
    "ThresholdBackwardBackward": "ReLU",
    "LeakyReluBackwardBackward": "leaky ReLU",
    "PreluKernelBackwardBackward": "PReLU",
    "RreluWithNoiseBackwardBackward": "RReLU",
    "HardtanhBackwardBackward": "hardtanh or ReLU6",
    "SoftshrinkBackwardBackward": "softshrink",
    "HardshrinkBackwardBackward": "hardshrink",
}


def warn_of_kinks(before: Tensor, after: Tensor) -> None:
    """Warn if a higher derivative is zero at all points because of the activation.

    Checks on the first batch only, where the trainer asks for it: reading values takes time.

    Args:
        before: The derivative of the network that was differentiated.
        after: Its derivative.

    Warns:
        UserWarning: ``after`` is zero, and the network has an activation with kinks.
    """
    if not values_are_checked() or is_capturing() or not after.numel() or bool(after.any()):
        return
    activation = _activation(before)
    if activation:
        warn_user(
            f"A second or higher derivative of the network is 0 at all points, because its "
            f"activation, {activation}, consists of straight lines. The equation does not see "
            'this derivative. Use a smooth activation, such as "tanh", "silu" or "gelu".'
        )


def _activation(derivative: Tensor) -> str:
    """Return the name of an activation with kinks that was differentiated once, if any."""
    seen: set[Any] = set()
    nodes = [derivative.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        kind = node.name().rstrip("0123456789")
        if kind in _KINKS:
            return _KINKS[kind]
        nodes += [each for each, _ in node.next_functions]
    return ""
