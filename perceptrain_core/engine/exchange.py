"""Exchange tensors between processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

_MOST_BYTES = 2**28  # that are copied at once, beside the tensors themselves


def broadcast_tensors(tensors: Iterable[Tensor]) -> None:
    """Copy the values of tensors from the first process to all."""
    kinds: dict[Any, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    with torch.no_grad():
        for same in kinds.values():
            for part in _parts(same):
                _broadcast(part)


def _parts(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    """Divide tensors so that copies of a large model do not need its memory again."""
    part, filled = list[Tensor](), 0
    for tensor in tensors:
        if part and filled + tensor.nbytes > _MOST_BYTES:
            yield part
            part, filled = [], 0
        part.append(tensor)
        filled += tensor.nbytes
    yield part


def _broadcast(tensors: list[Tensor]) -> None:
    """Copy tensors of one dtype together: each exchange takes longer than a copy of a small one."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
    dist.broadcast(flat, src=0)
    if dist.get_rank() > 0:
        sizes = [tensor.numel() for tensor in tensors]
        for tensor, values in zip(tensors, torch.split(flat, sizes), strict=True):
            tensor.copy_(values.view(tensor.shape))
