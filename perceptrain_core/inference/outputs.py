"""The outputs of a model for prediction: in evaluation mode, without gradients, part by part."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.data.support.device import data_to_device
from perceptrain_core.errors import DataError
from perceptrain_core.models.modes import evaluating
from perceptrain_core.tensors import describe

#: Rows that are evaluated at a time, so that memory stays bounded.
ROWS = 8192
_MOST_VALUES = 2**20


def evaluate(module: nn.Module, inputs: Any, device: torch.device | str | None = None) -> Any:
    """Evaluate a module on one part of the data, in evaluation mode and without gradients.

    Args:
        module: A model or a `Pipeline`; its submodules keep their modes.
        inputs: What it takes, on any device.
        device: The device of the module; by default that of its first parameter.

    Returns:
        What it returned, with every tensor on the CPU.
    """
    with evaluating(module), torch.no_grad():
        outputs = module(data_to_device(inputs, device or device_of(module)))
    return data_to_device(outputs, "cpu")


def require_tensor(outputs: Any) -> Tensor:
    """Return outputs that are a tensor.

    Raises:
        DataError: They are something else, which cannot be predictions.
    """
    if isinstance(outputs, Tensor):
        return outputs
    raise DataError(
        f"The model returned {describe(outputs)}, and predictions need a tensor: call the model "
        "itself."
    )


def outputs_of(pipeline: nn.Module, rows: Tensor) -> Tensor | None:
    """Return the outputs for rows in memory, on the CPU.

    Args:
        pipeline: A `Pipeline`; it is moved to the device of its model.
        rows: What it takes, shape ``(N, ...)``, on any device; ``N`` is at least 1.

    Returns:
        The outputs; ``None`` if the model returns something else than a tensor.
    """
    pipeline.to(device_of(pipeline))  # the preparation and the units are new, and on the CPU
    found = []
    for part in row_parts(rows):
        outputs = evaluate(pipeline, part)
        if not isinstance(outputs, Tensor):
            return None
        found.append(outputs)
    return torch.cat(found)


def row_parts(rows: Tensor, size: int = ROWS) -> tuple[Tensor, ...]:
    """Split rows into parts of ``size`` rows, or fewer if each row is large, as images are."""
    return torch.split(rows, max(1, min(size, _MOST_VALUES // max(1, rows[:1].numel()))))


def device_of(module: nn.Module) -> torch.device:
    """Return the device of the first parameter of a module; the CPU if it has none."""
    return next((p.device for p in module.parameters()), torch.device("cpu"))
