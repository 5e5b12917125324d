"""The average of a sharded model's weights, which is sharded in the same way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.engine.scattering import end_shard
from perceptrain_core.tensors import local

_Slot = tuple[nn.Module, str, nn.Module]


class ShardedAverage:
    """A copy of a sharded model, whose parameters are shards of its own.

    Create it before the model is sharded, and call `fill` afterwards.

    Args:
        averaged: The copy.
        model: The model.
        is_sharded: Whether a parameter of the model will be.
    """

    def __init__(
        self, averaged: nn.Module, model: nn.Module, is_sharded: Callable[[Tensor], bool]
    ) -> None:
        self._averaged, self._model = averaged, model
        self._slots: list[_Slot] = [
            (averaged.get_submodule(path), name, module)
            for path, module in model.named_modules()
            for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False)
            if is_sharded(parameter)
        ]
        self._originals = [getattr(module, name) for module, name, _ in self._slots]

    def fill(self) -> None:
        """Copy the values of the model."""
        made: dict[Tensor, nn.Parameter] = {}
        for (_, name, source), original in zip(self._slots, self._originals, strict=True):
            if original not in made:
                value = getattr(source, name).detach().clone()
                made[original] = nn.Parameter(value, requires_grad=original.requires_grad)
        self._shards: list[Any] = [made[original] for original in self._originals]
        self._set(self._shards)

    def exchange(self) -> None:
        """Exchange the values of the average and of the model, shard by shard."""
        pairs = zip(
            [*self._averaged.parameters(), *self._averaged.buffers()],
            [*self._model.parameters(), *self._model.buffers()],
            strict=True,
        )
        with torch.no_grad():
            for one, other in ((local(a), local(b)) for a, b in pairs):
                kept = one.clone()
                one.copy_(other)
                other.copy_(kept)

    def gather(self) -> None:
        """Make the parameters whole; all processes call this."""
        made = {
            shard: nn.Parameter(shard.detach().full_tensor(), requires_grad=shard.requires_grad)
            for shard in dict.fromkeys(self._shards)
        }
        self._set([made[shard] for shard in self._shards])

    def reshard(self, cut: Callable[[Tensor], Any] | None) -> None:
        """Drop all but the shards.

        Args:
            cut: Returns the share of this process of a tensor, to keep changes to the parameters.
        """
        if cut is not None:
            with torch.no_grad():
                for (module, name, _), shard in zip(self._slots, self._shards, strict=True):
                    local(shard).copy_(local(cut(getattr(module, name).detach())))
        self._set(self._shards)

    def dissolve(self, whole: bool) -> None:
        """End sharding, as `FullySharded.dissolve` does."""
        ends: dict[Tensor, nn.Parameter] = {}
        for shard in dict.fromkeys(self._shards):
            ends[shard] = nn.Parameter(torch.empty(0), requires_grad=shard.requires_grad)
            ends[shard].data = local(shard.detach()).new_empty(0)
            end_shard(ends[shard], shard, whole)
        self._set([ends[shard] for shard in self._shards])

    def _set(self, parameters: list[nn.Parameter]) -> None:
        for (module, name, _), parameter in zip(self._slots, parameters, strict=True):
            setattr(module, name, parameter)
