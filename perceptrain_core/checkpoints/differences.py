"""How a saved state differs from the object that is to take it, before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer


def find_differences(target: Any, saved: Any) -> list[str]:
    """Give one line for each thing that keeps a saved state from being loaded; none if it fits."""
    if isinstance(target, nn.Module):
        return _module_differences(target, saved)
    if isinstance(target, Optimizer):
        return _optimizer_differences(target, saved)
    return []


def _module_differences(module: nn.Module, saved: Mapping[str, Any]) -> list[str]:
    own = module.state_dict()
    lines = [f"{name}: missing in the checkpoint" for name in own if name not in saved]
    lines += [f"{name}: unknown to this object" for name in saved if name not in own]
    for name in own.keys() & saved.keys():
        here, there = own[name], saved[name]
        if isinstance(here, Tensor) and isinstance(there, Tensor) and here.shape != there.shape:
            lines.append(f"{name}: shape {tuple(here.shape)} here, {tuple(there.shape)} saved")
    return sorted(lines)


def _optimizer_differences(optimizer: Optimizer, saved: Mapping[str, Any]) -> list[str]:
    own = [len(group["params"]) for group in optimizer.param_groups]
    there = [len(group["params"]) for group in saved["param_groups"]]
    if own == there:
        return []
    return [f"parameters in each group: {own} here, {there} saved"]
