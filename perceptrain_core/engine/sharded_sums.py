"""Figures of a sharded model over all processes, which all of them compute together."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn

from perceptrain_core.tensors import dense_real, is_sharded, local


def nonfinite_parameter(model: nn.Module) -> str | None:
    """Return the name of a parameter that is NaN or infinite in any process."""
    named = [*model.named_parameters()]
    found = torch.stack([local(p).detach().isfinite().all().logical_not() for _, p in named])
    found = found.int()
    dist.all_reduce(found, op=dist.ReduceOp.MAX)
    return next((name for (name, _), bad in zip(named, found, strict=True) if bad), None)


def total_norm(parameters: Iterable[Tensor], device: torch.device) -> Tensor:
    """Return the 2-norm of all gradients together; those of whole parameters count once."""
    every = [p for p in parameters if p.grad is not None]
    squares = torch.zeros((), dtype=torch.float64, device=device)
    squares = squares + _squares([p for p in every if is_sharded(p)])
    dist.all_reduce(squares)
    return (squares + _squares([p for p in every if not is_sharded(p)])).sqrt()


def _squares(parameters: list[Tensor]) -> Tensor | float:
    if not parameters:
        return 0.0
    gradients = [dense_real(local(p.grad).detach()) for p in parameters]
    norms = [torch.linalg.vector_norm(g, dtype=torch.float64) for g in gradients]
    return torch.stack(norms).square().sum()
