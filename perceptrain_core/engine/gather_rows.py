"""The rows of all processes, for losses that depend on all rows of a batch together."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from perceptrain_core.processes import connected_processes


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows of all processes, with gradients.

    Each process has to call it, as often as the others. If all of them compute the same loss from
    the result, the gradient averaged over the processes, as a trainer averages it, is that of one
    process with all rows: so the gradient of the own rows is multiplied by the number of processes.

    Args:
        rows: Of shape ``(N, ...)`` and any dtype; ``N`` may differ between processes, the rest of
            the shape may not.

    Returns:
        The rows, of shape ``(sum of all N, ...)``, those of the first process first; ``rows``
        itself if there is only one process.
    """
    if connected_processes() < 2:
        return rows
    gathered: Tensor = _Gather.apply(rows)  # type: ignore[no-untyped-call]
    return gathered


class _Gather(torch.autograd.Function):
    """The backward pass exchanges nothing, so no process waits for another there."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        world_size, rank = dist.get_world_size(), dist.get_rank()
        sizes = _gathered(torch.tensor([len(rows)], device=rows.device))
        numbers = torch.cat(sizes).tolist()
        ctx.world_size = world_size
        ctx.start, ctx.number = sum(numbers[:rank]), len(rows)
        # all_gather exchanges tensors of one shape.
        padded = rows.new_zeros((max(numbers), *rows.shape[1:]))
        padded[: len(rows)] = rows
        pieces = zip(_gathered(padded), numbers, strict=True)
        return torch.cat([piece[:number] for piece, number in pieces])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        own: Tensor = gradients[0].narrow(0, ctx.start, ctx.number) * ctx.world_size
        return own


def _gathered(tensor: Tensor) -> list[Tensor]:
    pieces = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(pieces, tensor)
    return pieces
