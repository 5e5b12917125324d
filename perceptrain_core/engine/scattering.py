"""Send tensors of the first process to all, each its share, and back to the first."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils import swap_tensors

exchange: Callable[[Tensor, Tensor], None] = swap_tensors


class Scatter:
    """Divides the rows of a tensor that the first process has between all processes.

    Args:
        device: The device of the shares.
        dtype: Their dtype; ``None`` keeps that of the tensors.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype | None = None) -> None:
        self._device, self.dtype = device, dtype

    def __call__(self, tensor: Tensor, dtype: torch.dtype | None = None) -> Any:
        """Return the share of this process as a ``DTensor``; all processes call this.

        Args:
            tensor: In the first process with its values; in the others of the same shape.
            dtype: Of the share, instead of the usual one.
        """
        from torch.distributed.tensor import Shard, distribute_tensor

        dtype = dtype or self.dtype or tensor.dtype
        if dist.get_rank() == 0:
            whole = tensor.to(self._device, dtype)
        else:  # on a CPU this memory is never touched
            whole = torch.empty(tensor.shape, dtype=dtype, device=self._device)
        return distribute_tensor(whole, mesh_of(self._device), [Shard(0)], src_data_rank=0)

    def with_memory(self, tensor: Tensor) -> Tensor:
        """Return a tensor on the device for one on "meta"; others as they are."""
        return torch.empty_like(tensor, device=self._device) if tensor.is_meta else tensor


def empty_share(like: Any, outline: Tensor) -> Any:
    """Return a ``DTensor`` without values for a tensor that is divided as another; else ``None``.

    Args:
        like: A ``DTensor``.
        outline: A tensor; ``None`` is returned if it has another shape.
    """
    if like.shape != outline.shape:
        return None
    from torch.distributed.tensor import DTensor

    own = torch.empty_like(like.detach().to_local(), dtype=outline.dtype)
    place = like.device_mesh, like.placements
    shape = {"shape": like.shape, "stride": like.stride()}
    return DTensor.from_local(own, *place, run_check=False, **shape)


def without_values(parameter: Tensor, dtype: torch.dtype | None = None) -> nn.Parameter:
    """Return a parameter of the same shape on the device "meta"."""
    outline = torch.empty_like(parameter, device="meta", dtype=dtype or parameter.dtype)
    return nn.Parameter(outline, requires_grad=parameter.requires_grad)


def gathered_first(shard: Any) -> Tensor:
    """Return a whole tensor in the first process, and one on "meta" in others; all call this."""
    full: Tensor = shard.detach().full_tensor()
    return full if dist.get_rank() == 0 else torch.empty_like(full, device="meta")


def end_shard(parameter: Tensor, shard: Any, whole: bool) -> None:
    """Give a parameter the value of its shards in the first process, and none in the others.

    Args:
        parameter: The parameter, in place.
        shard: What stood in its place; it has no values afterwards.
        whole: Whether all processes call this; otherwise its value is NaN.
    """
    if not whole:
        parameter.data = parameter.data.new_full(tuple(shard.shape), nan)
        return
    full = shard.detach().full_tensor()
    shard.detach().to_local().untyped_storage().resize_(0)  # or all would be there twice at the end
    if dist.get_rank() == 0 or not _emptied(parameter, full):
        parameter.data = full


def _emptied(parameter: Tensor, like: Tensor) -> bool:
    """Move a parameter to "meta"; return whether that was possible."""
    outline = torch.empty_like(like, device="meta")
    try:
        exchange(parameter, nn.Parameter(outline, requires_grad=parameter.requires_grad))
    except RuntimeError:  # something refers to it weakly, as an LSTM does
        return False
    return True


def sharder(device: torch.device) -> Callable[[Tensor], Any]:
    """Return a function that divides the rows of a tensor, which all processes have."""
    from torch.distributed.tensor import Shard, distribute_tensor

    mesh = mesh_of(device)
    return lambda whole: distribute_tensor(whole, mesh, [Shard(0)], src_data_rank=None)


def mesh_of(device: torch.device) -> Any:
    """Return all processes as a mesh."""
    # It takes long to import, and few runs need it.
    from torch.distributed.device_mesh import init_device_mesh

    return init_device_mesh(device.type, (dist.get_world_size(),))
