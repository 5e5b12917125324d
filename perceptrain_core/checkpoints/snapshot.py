"""A copy of a state, which the training that continues does not change."""

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any

import torch
from torch import Tensor, UntypedStorage

_CONSTANT = (type(None), bool, int, float, str, bytes)


def snapshot(state: dict[str, Any]) -> dict[str, Any]:
    """Copy a state to CPU memory, with all its tensors; those that share memory still do.

    Args:
        state: Tensors and plain values, in dicts, lists and tuples.
    """
    copied: dict[str, Any] = _Copier().copy(state)
    return copied


class _Copier:
    def __init__(self) -> None:
        self._storages: dict[tuple[torch.device, int, int], UntypedStorage] = {}

    def copy(self, value: Any) -> Any:
        """Copy a value and what it holds."""
        kind = type(value)
        if kind in _CONSTANT:
            return value
        if isinstance(value, Tensor):
            return self._tensor(value.detach())
        if kind is list or kind is tuple:
            return kind(map(self.copy, value))
        if isinstance(value, dict):
            same = copy(value)  # with the versions that torch saves beside the tensors
            for key, item in value.items():
                same[key] = self.copy(item)
            return same
        return deepcopy(value)

    def _tensor(self, tensor: Tensor) -> Tensor:
        strided = tensor.layout is torch.strided and not tensor.is_quantized
        if type(tensor) is not Tensor or not strided or tensor.is_conj() or tensor.is_neg():
            return tensor.clone().cpu()
        storage = tensor.untyped_storage()
        key = tensor.device, storage.data_ptr(), storage.nbytes()
        if key not in self._storages:
            whole = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(storage)
            self._storages[key] = whole.to("cpu", copy=True).untyped_storage()
        view = torch.empty(0, dtype=tensor.dtype, device="cpu")
        return view.set_(
            self._storages[key], tensor.storage_offset(), tensor.shape, tensor.stride()
        )
