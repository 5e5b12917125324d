"""Predictions of a trainer's model, from rows or a loader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perceptrain_core.data.support.device import data_to_device
from perceptrain_core.data.support.rows import as_rows, slice_rows
from perceptrain_core.errors import DataError
from perceptrain_core.inference.outputs import evaluate, require_tensor
from perceptrain_core.inference.pipeline import Pipeline
from perceptrain_core.inference.predictions import Predictions, Target
from perceptrain_core.losses.support.outputs import output_activation, outputs_per_label
from perceptrain_core.tensors import describe
from perceptrain_core.types import LossFunction


def predict(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Any,
    batch_size: int,
    device: torch.device | str,
    dtype: torch.dtype | None,
) -> Predictions:
    """Predict rows; see `Trainer.predict`.

    Args:
        model: The model.
        loss_fn: What its outputs are is known from the loss.
        data: As for `Trainer.predict`.
        batch_size: The rows of a tensor or an array that are evaluated at a time.
        device: The device of the model.
        dtype: That of real inputs.
    """
    activation = output_activation(loss_fn)
    pipeline = Pipeline(model, activation=activation, per_label=outputs_per_label(loss_fn))
    batches = (data_to_device(rows, device, dtype) for rows in _batches(data, batch_size))
    outputs = [require_tensor(evaluate(pipeline, rows, device)) for rows in batches]
    if not outputs:
        raise DataError("There are no rows to predict: the data have no batch.")
    found = torch.cat(outputs)
    exclusive = activation == "softmax" and found.ndim > 1 and found.shape[1] > 1
    classes = tuple(map(str, range(found.shape[1]))) if exclusive else None
    return Predictions.of(found, Target((), classes, activation))


def _batches(data: Any, size: int) -> Iterator[Any]:
    if isinstance(data, Tensor | np.ndarray):
        rows = as_rows(data)
        yield from (slice_rows(rows, start, start + size) for start in range(0, len(rows), size))
        return
    if isinstance(data, str | dict) or not hasattr(data, "__iter__"):
        raise DataError(
            f"Expected a tensor or an array of rows, or a loader of batches, not {describe(data)}."
        )
    for batch in data:  # a loader, whose labels are left out
        yield batch[0] if isinstance(batch, tuple | list) else batch
