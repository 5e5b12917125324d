"""Models without values, on the device "meta", which the first of several processes sends."""

from __future__ import annotations

from collections.abc import Container

import torch
from torch import Tensor, nn

from perceptrain_core.engine.scattering import exchange
from perceptrain_core.errors import TrainingError


def require_values(model: nn.Module) -> None:
    """Check that a model has values.

    Raises:
        TrainingError: A parameter or a buffer is on the device "meta".
    """
    named = [*model.named_parameters(), *model.named_buffers()]
    missing = [name for name, tensor in named if tensor.is_meta]
    if missing:
        raise TrainingError(
            f"{missing[0]!r} of {type(model).__name__} has no values: it is on the device 'meta'. "
            "Call model.to_empty(device='cpu'), set them, and create the optimizer and the trainer "
            "afterwards. Of several processes, only the first needs values."
        )


def give_memory(model: nn.Module, device: torch.device, left: Container[Tensor]) -> bool:
    """Give parameters and buffers on "meta" memory on a device, but no values yet.

    Args:
        model: The model, changed in place.
        device: The device.
        left: Parameters that stay as they are.

    Returns:
        Whether there were any.
    """
    found = [p for p in model.parameters() if p.is_meta and p not in left]
    recurrent = [each for each in model.modules() if found and isinstance(each, nn.RNNBase)]
    for each in recurrent:  # weak references forbid the exchange
        each._flat_weight_refs = []
    for parameter in found:
        real = torch.empty_like(parameter, device=device)
        exchange(parameter, nn.Parameter(real, parameter.requires_grad))
    buffers = {b: torch.empty_like(b, device=device) for b in model.buffers() if b.is_meta}
    for module in model.modules():
        for name, buffer in module.named_buffers(recurse=False, remove_duplicate=False):
            if buffer in buffers:
                setattr(module, name, buffers[buffer])
    for each in recurrent:
        each._init_flat_weights()
    return bool(found or buffers)


def move(
    module: object, device: torch.device, dtype: torch.dtype | None, left: Container[Tensor] = ()
) -> None:
    """Move a module as ``module.to(device, dtype)`` does, except for some parameters."""

    def moved(tensor: Tensor) -> Tensor:
        if tensor in left:
            return tensor
        return tensor.to(device, dtype if tensor.is_floating_point() else None)

    if isinstance(module, nn.Module):
        module._apply(moved)  # type: ignore[no-untyped-call]
