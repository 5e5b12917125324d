"""Exchange tensors between processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

# What a parameter has as its gradient; the larger one is that of all processes.
_NONE, _DENSE, _SPARSE = range(3)


def broadcast_tensors(tensors: Iterable[Tensor]) -> None:
    """Copy the values of tensors from the first process to all."""
    with torch.no_grad():
        for tensor in tensors:
            whole = tensor.contiguous()
            dist.broadcast(whole, src=0)
            if whole is not tensor:
                tensor.copy_(whole)


def sum_gradients(parameters: list[Tensor]) -> None:
    """Replace the gradients of parameters by their sums over all processes.

    A parameter that no process uses keeps ``None``.
    """
    _use_the_same(parameters)
    dense: dict[Any, list[Tensor]] = {}
    for parameter in parameters:
        if (gradient := parameter.grad) is not None and gradient.is_sparse:
            dist.all_reduce(gradient)
        elif gradient is not None:
            dense.setdefault((gradient.device, gradient.dtype), []).append(gradient)
    for gradients in dense.values():
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        sums = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, values in zip(gradients, sums, strict=True):
            gradient.copy_(values.view_as(gradient))


def _use_the_same(parameters: list[Tensor]) -> None:
    """Set gradients of zeros for parameters that are used in other processes only."""
    kinds = torch.tensor([_kind(p.grad) for p in parameters], device=parameters[0].device)
    dist.all_reduce(kinds, op=dist.ReduceOp.MAX)
    for parameter, kind in zip(parameters, kinds.tolist(), strict=True):
        if parameter.grad is None and kind != _NONE:
            zeros = torch.zeros_like(parameter)
            # Sparse as those of embeddings: some of the rows.
            parameter.grad = zeros.to_sparse(1) if kind == _SPARSE else zeros


def _kind(gradient: Tensor | None) -> int:
    if gradient is None:
        return _NONE
    return _SPARSE if gradient.is_sparse else _DENSE
