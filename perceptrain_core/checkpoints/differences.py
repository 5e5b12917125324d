"""Compare a saved state with the object that will load it, before anything is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from perceptrain_core.optimizer_steps import stages_of

#: State of torch's optimizers that has the shape of its parameter; other state need not.
_LIKE_PARAMETERS = {"exp_avg", "exp_avg_sq", "momentum_buffer", "square_avg", "sum"}


def find_differences(target: Any, saved: Any) -> list[str]:
    """Return one line for each reason why a saved state does not fit; none if it does."""
    if isinstance(target, nn.Module):
        return _module_differences(target, saved)
    if isinstance(target, Optimizer):
        return _optimizer_differences(target, saved)
    return []


def renamed(target: Any, saved: Any) -> Any:
    """Return the saved state of a module under the names of today.

    A module whose parameters had other names has ``rename_saved(state, prefix)``, which renames
    them in place.
    """
    if not isinstance(target, nn.Module) or not isinstance(saved, dict):
        return saved
    state = copy(saved)  # with the versions that torch saves beside the tensors
    for prefix, module in target.named_modules():
        if hasattr(module, "rename_saved"):
            module.rename_saved(state, f"{prefix}." if prefix else "")
    return state


def find_conversions(target: Any, saved: Any) -> list[str]:
    """Return one line for each dtype conversion that loading a module's state makes."""
    if not isinstance(target, nn.Module):
        return []
    own = target.state_dict()
    both = [(saved[n], own[n]) for n in own if isinstance(own[n], Tensor)]
    pairs = {(there.dtype, here.dtype) for there, here in both if there.dtype != here.dtype}
    return sorted(f"{there} in the checkpoint, converted to {here}" for there, here in pairs)


def _module_differences(module: nn.Module, saved: Mapping[str, Any]) -> list[str]:
    own = module.state_dict()
    lines = [f"{name}: missing in the checkpoint" for name in own if name not in saved]
    lines += [f"{name}: unknown to this object" for name in saved if name not in own]
    for name in own.keys() & saved.keys():
        here, there = own[name], saved[name]
        if not isinstance(here, Tensor):
            continue
        if not isinstance(there, Tensor):
            lines.append(f"{name}: a tensor here, {type(there).__name__} saved")
        elif here.shape != there.shape:
            lines.append(f"{name}: shape {tuple(here.shape)} here, {tuple(there.shape)} saved")
        elif there.is_complex() and not here.is_complex():
            lines.append(f"{name}: {here.dtype} here, {there.dtype} saved")
    return sorted(lines)


def _optimizer_differences(optimizer: Optimizer, saved: Mapping[str, Any]) -> list[str]:
    if "param_groups" not in saved:
        return ["the state does not belong to an optimizer of torch"]
    stages, own = stages_of(optimizer), saved.get("sequence")
    if stages == [optimizer] and own is None:
        return _state_differences(optimizer, saved)
    here = [type(stage).__name__ for stage in stages]
    if stages == [optimizer] or own is None or here != own["names"]:
        there = "a single one" if own is None else ", ".join(own["names"])
        return [f"optimizers: {', '.join(here)} here, {there} saved"]
    pairs = [*zip(stages, own["stages"], strict=True), (stages[own["progress"]["stage"]], saved)]
    return list(dict.fromkeys(line for pair in pairs for line in _state_differences(*pair)))


def _state_differences(optimizer: Optimizer, saved: Mapping[str, Any]) -> list[str]:
    own, there = optimizer.param_groups, saved["param_groups"]
    lines = []
    if (mine := [len(g["params"]) for g in own]) != (theirs := [len(g["params"]) for g in there]):
        return [f"parameters in each group: {mine} here, {theirs} saved"]
    lines += _shape_differences([p for g in own for p in g["params"]], saved["state"])
    missing, unknown = own[0].keys() - there[0].keys(), there[0].keys() - own[0].keys()
    if missing and unknown:  # only one of them: another version of the same optimizer
        lines.append(f"options: {_listed(missing)} here, {_listed(unknown)} saved")
    return lines


def _shape_differences(parameters: list[Tensor], state: Mapping[Any, Any]) -> list[str]:
    """Detect exchanged parameters by optimizer state that must have the parameter's shape."""
    lines = []
    for number, parameter in enumerate(parameters):
        for name, value in state.get(number, {}).items():
            if name in _LIKE_PARAMETERS and isinstance(value, Tensor):
                here, there = tuple(parameter.shape), tuple(value.shape)
                if here != there:
                    lines.append(f"{name} of parameter {number}: shape {here} here, {there} saved")
    return lines


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
