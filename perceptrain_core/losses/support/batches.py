"""Taking a batch apart, and running the model on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from perceptrain_core.errors import DataError
from perceptrain_core.tensors import describe
from perceptrain_core.types import TBatch

#: The losses that take the residuals of a PINN, as messages name them.
RESIDUAL_LOSSES = "mse, l1, smooth_l1 and huber"

# What data sets call their labels, for the example in a message.
_LABEL_NAMES = ("labels", "label", "targets", "target", "y")


def split_batch(batch: TBatch) -> tuple[Any, Any]:
    """Take a labelled batch apart.

    Args:
        batch: ``(inputs, labels)``, a tuple or a list of two.

    Returns:
        The inputs and the labels.

    Raises:
        DataError: The batch is anything else.
    """
    if isinstance(batch, (tuple, list)) and len(batch) == 2:
        return batch[0], batch[1]
    raise DataError(_misfit(batch))


def predict(batch: TBatch, model: nn.Module) -> tuple[Any, Any]:
    """Run the model on a batch, with labels or without.

    Args:
        batch: ``(inputs, labels)``, or a dict of points, which the model gets whole.
        model: The model.

    Returns:
        What the model returned, and the labels; None where the batch has none.

    Raises:
        DataError: The batch is neither.
    """
    if isinstance(batch, (tuple, list)) or not isinstance(batch, Mapping):
        inputs, labels = split_batch(batch)
        return model(inputs), labels
    try:
        return model(batch), None
    except TypeError as error:
        error.add_note(
            f"The batch is {describe(batch)}, and a dict batch is for a PINN or another model "
            "that takes a dict. Any other model needs batches of (inputs, labels). "
            f"{_by_name(batch)}"
        )
        raise


def labelled(batch: TBatch, model: nn.Module) -> tuple[Tensor, Any]:
    """Run the model on a labelled batch, for the losses that compare one tensor with labels.

    Args:
        batch: ``(inputs, labels)``.
        model: A model that returns one tensor.

    Returns:
        The outputs of the model, and the labels.

    Raises:
        DataError: The batch is no such pair, or the model returned something else.
    """
    inputs, labels = split_batch(batch)
    outputs = model(inputs)
    if isinstance(outputs, Tensor):
        return outputs, labels
    raise DataError(_not_one_tensor(outputs))


def _misfit(batch: object) -> str:
    expected = f"The batch is {describe(batch)}; expected (inputs, labels), a tuple of two. "
    if isinstance(batch, Mapping):
        return expected + (
            "A dict batch is for a PINN, and of the built-in losses "
            f"{RESIDUAL_LOSSES} work on its residuals. {_by_name(batch)}"
        )
    if isinstance(batch, (tuple, list)) and len(batch) > 2:
        return expected + "Group them: ((input_1, input_2), labels), or write a loss of your own."
    if isinstance(batch, (tuple, list)) and len(batch) == 1:
        return expected + (
            "Give the loader both, to_dataloader(inputs, labels, batch_size=...); or, for a PINN, "
            "a dict of points: DictDataLoader({name: loader})."
        )
    return expected + "Give the loader both: to_dataloader(inputs, labels, batch_size=...)."


def _by_name(batch: Mapping[Any, Any]) -> str:
    """How to train on rows that are dicts, as many data sets give them."""
    labels = [key for key in batch if key in _LABEL_NAMES]
    inputs = [key for key in batch if key not in _LABEL_NAMES]
    if not labels or not inputs:
        return "For parts with names write a loss of your own: loss_fn(batch, model)."
    return (
        "For parts with names write a loss of your own, such as lambda batch, model: "
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
        "alone, or use supervised(criterion) with a criterion that takes several."
    )
