"""The trainable parameters of a model as one vector."""

from __future__ import annotations

from math import inf
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from perceptrain_core.errors import ShapeError, TrainingError
from perceptrain_core.tensors import describe, promote_to_tensor


def get_parameters(model: nn.Module) -> Tensor:
    """Copy the trainable parameters into one vector.

    Args:
        model: The model; parameters with ``requires_grad=False`` do not count.

    Returns:
        A tensor of shape ``(P,)``, in the order of ``model.parameters()``, without a graph.

    Raises:
        TrainingError: ``model`` is not a module.
    """
    values = [parameter.detach().reshape(-1) for parameter in _trainable(model)]
    return torch.cat(values) if values else torch.empty(0)


def set_parameters(model: nn.Module, theta: Any) -> None:
    """Write a vector into the trainable parameters, which keep their dtype and device.

    Args:
        model: The model; parameters with ``requires_grad=False`` do not change.
        theta: A tensor, array or list of shape ``(P,)``, in the order of ``get_parameters``.

    Raises:
        ShapeError: ``theta`` has another shape; then nothing is changed.
        TrainingError: ``model`` is not a module.
    """
    values = promote_to_tensor(theta).detach()
    parameters = _trainable(model)
    sizes = [parameter.numel() for parameter in parameters]
    if values.shape != (sum(sizes),):
        raise ShapeError(
            f"theta is {describe(values)}; expected shape ({sum(sizes)},), one number for each "
            f"trainable parameter of {type(model).__name__}, as get_parameters returns."
        )
    with torch.no_grad():
        for parameter, part in zip(parameters, torch.split(values, sizes), strict=True):
            parameter.copy_(part.view_as(parameter))


def num_parameters(model: nn.Module) -> int:
    """Count the trainable parameters of a model.

    Raises:
        TrainingError: ``model`` is not a module.
    """
    return sum(parameter.numel() for parameter in _trainable(model))


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    if not isinstance(model, nn.Module):
        raise TrainingError(f"Expected a model, a torch.nn.Module, not {describe(model)}.")
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def nonfinite_parameter(model: nn.Module) -> str | None:
    """Return the name of the first trainable parameter with a NaN or infinity, or ``None``."""
    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    # One norm is much faster than a look at each parameter; that of finite ones may overflow.
    if get_total_norm(trained.values()).isfinite():
        return None
    return next((name for name, each in trained.items() if not each.isfinite().all()), None)


def largest_parameter(model: nn.Module) -> tuple[str, float]:
    """Return the parameter with the largest absolute value, and that value; NaN is left out."""
    sizes = {
        name: float(parameter.detach().abs().nan_to_num(nan=0.0, posinf=inf).max())
        for name, parameter in model.named_parameters()
        if parameter.numel()
    }
    name = max(sizes, key=lambda name: sizes[name], default="")
    return name, sizes.get(name, 0.0)
