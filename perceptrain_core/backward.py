"""Backward passes, without the checks of torch's Python interface.

The checks of ``Tensor.backward`` and ``torch.autograd.grad`` take longer than many other parts of
a step: up to 7% of a step of a small network, for each call.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.autograd.variable import Variable

_run = Variable._execution_engine.run_backward


def backward(loss: Tensor) -> None:
    """Add the gradient of a loss to ``.grad`` of the leaves of its graph, and free the graph.

    Args:
        loss: As for ``loss.backward()``, which is called unless the loss is a plain 0-dim tensor of
            real numbers on the CPU. (The threads that serve a GPU need the context that it saves.)
    """
    if type(loss) is Tensor and loss.is_cpu and loss.ndim == 0 and loss.is_floating_point():
        keep_graph, create_graph, allow_unreachable, accumulate = False, False, True, True
        ones = (torch.ones_like(loss),)
        _run((loss,), ones, keep_graph, create_graph, (), allow_unreachable, accumulate)
    else:
        loss.backward()  # type: ignore[no-untyped-call]


def gradients(loss: Tensor, tensors: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """Return the gradient with respect to each tensor; the graph and ``.grad`` are kept.

    Args:
        loss: A 0-dim tensor that requires gradients.
        tensors: Tensors that require gradients; the gradient of one that the loss does not depend
            on is ``None``.
    """
    keep_graph, create_graph, allow_unused, accumulate = True, False, True, False
    ones = (torch.ones_like(loss),)
    found: Sequence[Tensor | None] = _run(
        (loss,), ones, keep_graph, create_graph, tuple(tensors), allow_unused, accumulate
    )
    return found
