"""Optimizers of torch whose steps use its fused kernels, where these compute the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

#: The elements from which torch divides an operation between threads.
_PARALLEL = 32768


class _Fused(Optimizer):
    """Switches the fused kernel on for each group of parameters, and off where it does not fit.

    The kernels of the CPU read the memory of all tensors in the same order, unchecked: a gradient
    with other strides than its parameter would silently be wrong. Such a group continues without
    the kernel, and its option ``fused`` is then False. If the user sets ``fused`` or ``foreach``,
    nothing is switched.
    """

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters, with the fused kernel unless an option rules it out."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        free = group["fused"] is None and group["foreach"] is None
        ruled_out = group["differentiable"] or group.get("capturable", False)
        numbers = [group["lr"], *group.get("betas", ())]
        if free and not ruled_out and not any(isinstance(x, Tensor) for x in numbers):
            supported = all(map(_is_supported, group["params"]))
            group["fused"] = (supported and _pays(group["params"])) or None

    def _init_group(self, group: dict[str, Any], *lists: Any) -> Any:
        # torch's step calls this for each group, and reads the option afterwards.
        if group["fused"] and not self._was_chosen() and not self._fits(group):
            group["fused"] = False
        return super()._init_group(group, *lists)  # type: ignore[misc]

    def _was_chosen(self) -> bool:
        """Whether the user has set ``fused=True``, to which torch's constructor reacts."""
        return bool(getattr(self, "_step_supports_amp_scaling", False))

    def _fits(self, group: dict[str, Any]) -> bool:
        """Whether the kernel computes what torch computes without it."""
        return all(
            _are_alike(p, p.grad, self.state.get(p, {}))
            for p in group["params"]
            if p.grad is not None
        )


class Adam(_Fused, torch.optim.Adam):
    """``torch.optim.Adam``, with its fused kernel where that is faster and computes the same.

    The arguments are those of torch; ``fused=False`` or ``foreach=True`` switch the kernel off.
    """


class AdamW(_Fused, torch.optim.AdamW):
    """``torch.optim.AdamW``, with its fused kernel where that is faster and computes the same.

    The arguments are those of torch; ``fused=False`` or ``foreach=True`` switch the kernel off.
    """


def _pays(parameters: Sequence[Tensor]) -> bool:
    """Whether the kernel is faster, also on a busy machine.

    On the CPU it starts all threads even for a small tensor. Without it, torch does so for large
    ones only.
    """
    if any(p.device.type != "cpu" for p in parameters) or torch.get_num_threads() == 1:
        return True
    return any(p.numel() >= _PARALLEL for p in parameters if not is_lazy(p))


def _is_supported(parameter: Tensor) -> bool:
    if parameter.device.type not in ("cpu", "cuda") or not parameter.is_floating_point():
        return False
    if is_lazy(parameter):
        return True
    plain = type(parameter) in (Tensor, nn.Parameter)
    return plain and parameter.stride() == torch.empty_like(parameter).stride()  # without gaps


def _are_alike(parameter: Tensor, gradient: Tensor, state: dict[str, Any]) -> bool:
    """Whether the gradient and the state have the dtype and the strides of their parameter."""
    if gradient.layout is not torch.strided:
        return False
    stride, dtype = parameter.stride(), parameter.dtype
    if gradient.stride() != stride or gradient.dtype is not dtype:
        return False
    # Other state has no dimensions: the number of steps.
    return all(
        x.stride() == stride and x.dtype is dtype
        for x in state.values()
        if x is not None and x.ndim
    )
