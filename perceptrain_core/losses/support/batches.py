"""Split a batch, and run the model on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import DataError
from perceptrain_core.tensors import describe
from perceptrain_core.types import TBatch

#: The losses that accept the residuals of a PINN, for messages.
RESIDUAL_LOSSES = "mse, l1, smooth_l1 and huber"

#: Common names of labels in a batch with named parts.
LABEL_NAMES = ("labels", "label", "targets", "target", "y")


def split_batch(batch: TBatch) -> tuple[Any, Any]:
    """Split a labelled batch.

    Args:
        batch: ``(inputs, labels)``, a tuple or list of two.

    Returns:
        The inputs and the labels.

    Raises:
        DataError: The batch has another form.
    """
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    raise DataError(_misfit(batch))


def split_weighted(batch: TBatch) -> tuple[Any, Any, Any]:
    """Split a labelled batch that may have sample weights.

    Args:
        batch: ``(inputs, labels)`` or ``(inputs, labels, weights)``, a tuple or list.

    Returns:
        The inputs, the labels, and the weights or None.

    Raises:
        DataError: The batch has another form, or the third tensor has integers, as class labels.
    """
    if isinstance(batch, (tuple, list)) and len(batch) == 3:
        inputs, labels, weights = batch
        if isinstance(weights, Tensor) and not (
            weights.is_floating_point() or weights.is_complex() or weights.dtype is torch.bool
        ):
            raise DataError(_integer_weights(weights))
        return inputs, labels, weights
    return (*split_batch(batch), None)


def predict(batch: TBatch, model: nn.Module) -> tuple[Any, Any, Any]:
    """Run the model on a batch with or without labels.

    Args:
        batch: ``(inputs, labels)``, ``(inputs, labels, weights)``, or a dict of points, all of
            which are passed to the model.
        model: The model.

    Returns:
        The output of the model, the labels and the sample weights, each None if the batch has
        none.

    Raises:
        DataError: The batch is neither of these.
    """
    if isinstance(batch, (tuple, list)) or not isinstance(batch, Mapping):
        inputs, labels, weights = split_weighted(batch)
        return model(inputs), labels, weights
    try:
        return model(batch), None, None
    except TypeError as error:
        if hasattr(model, "equations"):  # a PINN takes a dict; its equation failed
            raise
        error.add_note(
            f"The batch is {describe(batch)}, and a dict batch is for a PINN or another model "
            "that takes a dict. Any other model needs batches of (inputs, labels). "
            f"{_by_name(batch)}"
        )
        raise


def labelled(batch: TBatch, model: nn.Module) -> tuple[Tensor, Any, Any]:
    """Run the model on a labelled batch, for the losses that compare one tensor with labels.

    Args:
        batch: ``(inputs, labels)`` or ``(inputs, labels, weights)``.
        model: A model that returns one tensor.

    Returns:
        The outputs of the model, the labels, and the sample weights or None.

    Raises:
        DataError: The batch has another form, or the model did not return one tensor.
    """
    inputs, labels, weights = split_weighted(batch)
    outputs = model(inputs)
    if isinstance(outputs, Tensor):
        return outputs, labels, weights
    raise DataError(_not_one_tensor(outputs))


def _misfit(batch: object) -> str:
    if batch is None:
        return "There are no data: pass them, fit((inputs, labels)), or fit([points]) for a PINN."
    expected = f"The batch is {describe(batch)}; expected (inputs, labels), a tuple of two. "
    if isinstance(batch, Mapping):
        return expected + (
            "A dict batch is for a PINN, and of the built-in losses "
            f"{RESIDUAL_LOSSES} work on its residuals. {_by_name(batch)}"
        )
    if isinstance(batch, (tuple, list)) and len(batch) > 2:
        return expected + (
            "Group them: ((input_1, input_2), labels), or write your own loss. Sample weights, "
            "(inputs, labels, weights), are for the built-in losses, such as mse."
        )
    if isinstance(batch, (tuple, list)) and len(batch) == 1:
        return expected + (
            "Pass both, fit((inputs, labels)) or to_dataloader(inputs, labels). For a PINN, "
            "pass a dict of points: DictDataLoader({name: loader})."
        )
    return expected + "Pass both to the loader: to_dataloader(inputs, labels, batch_size=...)."


def _integer_weights(weights: Tensor) -> str:
    return (
        f"The third tensor of the batch is {describe(weights)}. A batch of three is (inputs, "
        "labels, weights), with a weight for each row as a float. If these are labels of two "
        "inputs, group the inputs, ((input_1, input_2), labels): the model gets both in a tuple. "
        "If they are weights, convert them with weights.float()."
    )


def _by_name(batch: Mapping[Any, Any]) -> str:
    """Suggest how to train on rows that are dicts, as in many data sets."""
    labels = [key for key in batch if key in LABEL_NAMES]
    inputs = [key for key in batch if key not in LABEL_NAMES]
    if not labels or not inputs:
        return "For a batch with named parts, write your own loss: loss_fn(batch, model)."
    return (
        "For a batch with named parts, write your own loss, e.g. lambda batch, model: "
        f"(F.mse_loss(model(batch[{inputs[0]!r}]), batch[{labels[0]!r}]), {{}})."
    )


def _not_one_tensor(outputs: object) -> str:
    if isinstance(outputs, Mapping):
        return (
            f"The model returned {describe(outputs)}, as a PINN does; this loss compares one "
            f"tensor with labels. The losses that work on residuals are {RESIDUAL_LOSSES}."
        )
    return (
        f"The model returned {describe(outputs)}; this loss expects one tensor. Return the tensor "
        "alone, or use supervised(criterion) with a criterion that accepts several."
    )
