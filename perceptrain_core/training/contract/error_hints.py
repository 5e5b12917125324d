"""Hints for errors that a loss or a model raised on a batch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perceptrain_core.errors import ConfigError, PerceptrainError
from perceptrain_core.plurals import counted
from perceptrain_core.tensors import describe, only_tensor, parts_of, refuse_masked
from perceptrain_core.training.contract.torch_errors import raised_in_model

_PLAIN = (Number, str, bytes, np.ndarray, type(None))


def refuse_masked_parts(batch: Any) -> None:
    """Check that no array of a batch has masked values, which tensors would show.

    Raises:
        DataError: One has.
    """
    for leaf in _leaves(batch):
        refuse_masked(leaf)


def add_hints(error: Exception, batch: Any, model: nn.Module) -> None:
    """Add a note to an error, if the batch shows the likely cause.

    Args:
        error: The error that the loss raised; a `PerceptrainError` needs no hint, but a
            `ConfigError` is about an option of the loss, if it does not say otherwise.
        batch: The batch that the loss was called with.
        model: The model.
    """
    if isinstance(error, ConfigError):
        error.part = error.part or "loss"
    if isinstance(error, PerceptrainError) or batch is None:
        return
    leaves = list(_leaves(batch))
    if all(isinstance(leaf, _PLAIN) for leaf in leaves):
        error.add_note(
            f"The batch is {describe(batch)}, without a tensor in it. Numbers, lists and arrays "
            "must be converted with torch.as_tensor(data), or in the collate_fn of a DataLoader."
        )
    if type(batch) in (tuple, list) and only_tensor(batch) is not batch:
        error.add_note(
            f"The batch is {describe(batch)}, as loaders of one tensor yield. If the loss needs "
            "the tensor, unpack it there: (x,) = batch."
        )
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    batch_dtypes = _floats(tensors)
    own = _floats(model.parameters())
    if batch_dtypes and own and not batch_dtypes & own:
        error.add_note(
            f"The batch has {_names(batch_dtypes)}, and the parameters have {_names(own)}. "
            f"The setting dtype={_names(own)} casts the batches, and the model too."
        )


def add_call_hint(error: Exception, batch: Any, model: nn.Module) -> None:
    """Add a note on how a loss is called, if its own code failed in the first call.

    Args:
        error: The error that the loss raised.
        batch: The batch.
        model: The model; errors inside of it have other causes.
    """
    if isinstance(error, PerceptrainError) or raised_in_model(error, model):
        return
    taken_for_labels = {type(batch).__name__, type(model).__name__} & {
        *re.findall(r"\w+", str(error))
    }
    if isinstance(error, TypeError | AttributeError) and taken_for_labels:
        error.add_note(
            "This was the first call of the loss, as loss_fn(batch, model). If it is a "
            "criterion(outputs, labels), pass perceptrain.supervised(criterion)."
        )
    if isinstance(error, TypeError | ValueError | LookupError | RuntimeError):
        error.add_note(f"The batch is {_outline(batch)}.")


def _outline(batch: Any) -> str:
    """Describe a batch, and the elements of a short tuple or list."""
    if not isinstance(batch, tuple | list) or len(batch) > 4:
        return describe(batch)
    return f"a {type(batch).__name__} of {', '.join(map(describe, batch)) or 'nothing'}"


def add_nan_hint(error: Exception, batch: Any) -> None:
    """Add a note to an error about a loss that is NaN, if the batch itself has such values.

    Args:
        error: The error.
        batch: The batch.
    """
    for number, leaf in enumerate(_leaves(batch), start=1):
        if not isinstance(leaf, Tensor) or not (leaf.is_floating_point() or leaf.is_complex()):
            continue
        bad = int((~leaf.isfinite()).sum())
        if bad:
            error.add_note(
                f"The batch itself has {counted(bad, 'value')} that {'is' if bad == 1 else 'are'} "
                f"NaN or infinite, in its tensor {number} of shape {tuple(leaf.shape)}: fill such "
                "values, or leave out their rows, keep = x.isfinite().all(-1)."
            )


def add_value_hints(error: Exception, batch: Any, model: nn.Module, where: str) -> None:
    """Add a note to an error of torch about values that it cannot compute with.

    Args:
        error: The error that the loss raised, on any batch.
        batch: The batch.
        model: The model.
        where: The position in the run.
    """
    text = str(error)
    if "more than 1 value per channel when training" in text:
        rows = next((len(t) for t in _leaves(batch) if isinstance(t, Tensor) and t.ndim), None)
        count = "1 row" if rows == 1 else f"{rows} rows"
        error.add_note(
            f"This happened {where}, on a batch of {count}. A batch norm in training needs two "
            "values of each channel. If this is the rest of the data after the full batches, use a "
            "loader with drop_last=True, such as to_dataloader(x, y, batch_size=..., "
            "drop_last=True), or another batch_size."
        )
    is_complex = "complex" in text.lower() and isinstance(error, RuntimeError)
    if is_complex and not raised_in_model(error, model):
        error.add_note(
            "Outputs or labels are complex, and this loss has no such form: compare real numbers, "
            "e.g. torch.view_as_real of both, or use l1 or relative_l2, which take absolute values."
        )


def _leaves(batch: Any) -> Iterator[Any]:
    parts = parts_of(batch)
    if parts is None:
        yield batch
    for part in parts or ():
        yield from _leaves(part)


def _floats(tensors: Iterable[Tensor]) -> set[torch.dtype]:
    return {tensor.dtype for tensor in tensors if tensor.is_floating_point()}


def _names(dtypes: set[torch.dtype]) -> str:
    return " and ".join(sorted(str(dtype) for dtype in dtypes))
