"""Gradients of single terms of a loss; ``.grad`` of the parameters is never touched."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn

from perceptrain_core.errors import TrainingError


def trainable(model: nn.Module, *, matrices: bool = False) -> list[nn.Parameter]:
    """List the parameters that are trained.

    Args:
        model: The model.
        matrices: Whether only those with two dimensions or more count: weights, no biases.

    Returns:
        The parameters.

    Raises:
        TrainingError: There is none.
    """
    least = 2 if matrices else 0
    parameters = [p for p in model.parameters() if p.requires_grad and p.ndim >= least]
    if parameters:
        return parameters
    raise TrainingError(
        f"{type(model).__name__} has no trainable {'matrix' if matrices else 'parameter'}, so its "
        "terms have no gradients to weigh. Set requires_grad on its parameters."
    )


def absolute_gradient(term: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Give the absolute gradient of a term; the graph is kept.

    In a process group, all processes call it together, and it is that of the mean of their terms.

    Args:
        term: A 0-dim tensor with a graph.
        parameters: P numbers in all. Those that the term does not depend on count as zero.

    Returns:
        A tensor of shape ``(P,)``, detached.
    """
    gradients = torch.autograd.grad(
        term, parameters, retain_graph=True, allow_unused=True, materialize_grads=True
    )
    gradient = torch.cat([gradient.detach().reshape(-1) for gradient in gradients])
    if dist.is_available() and dist.is_initialized():
        dist.all_reduce(gradient)
        gradient /= dist.get_world_size()
    return gradient.abs()
