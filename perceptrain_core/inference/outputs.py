"""Predictions of rows in memory, a part of them at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain_core.inference.pipeline import Pipeline
from perceptrain_core.models.modes import evaluating

_ROWS = 8192
_MOST_VALUES = 2**20


def outputs_of(pipeline: Pipeline, rows: Tensor) -> Tensor | None:
    """Evaluate a pipeline in evaluation mode and without gradients.

    Args:
        pipeline: The pipeline.
        rows: What it takes, shape ``(N, ...)``, on any device; ``N`` is at least 1.

    Returns:
        Its outputs on the CPU; ``None`` if the model returns something else than a tensor.
    """
    device = next((p.device for p in pipeline.parameters()), rows.device)
    found = []
    pipeline.to(device)  # the preparation and the units are new, and on the CPU
    with evaluating(pipeline), torch.no_grad():
        for part in torch.split(rows, fitting(_ROWS, rows)):
            outputs = pipeline(part.to(device))
            if not isinstance(outputs, Tensor):
                return None
            found.append(outputs.cpu())
    return torch.cat(found)


def fitting(size: int, rows: Tensor) -> int:
    """Return how many rows to evaluate at a time: ``size``, or fewer if each is large."""
    return max(1, min(size, _MOST_VALUES // max(1, rows[:1].numel())))
