"""What a user could do about an error that a loss or a model raised on a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from numbers import Number
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from perceptrain_core.errors import PerceptrainError
from perceptrain_core.tensors import describe, parts_of

_PLAIN = (Number, str, bytes, np.ndarray, type(None))


def advise(error: Exception, batch: Any, model: nn.Module) -> None:
    """Add a note to an error where the batch shows what is behind it.

    Args:
        error: What the loss raised; one of our own says what to do itself.
        batch: What the loss got.
        model: The model.
    """
    if isinstance(error, PerceptrainError) or batch is None:
        return
    leaves = list(_leaves(batch))
    if all(isinstance(leaf, _PLAIN) for leaf in leaves):
        error.add_note(
            f"The batch is {describe(batch)}, without a tensor in it. Numbers, lists and arrays "
            "become tensors by torch.as_tensor(data), or in the collate_fn of a DataLoader."
        )
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    given = _floats(tensors)
    own = _floats(model.parameters())
    if given and own and not given & own:
        error.add_note(
            f"The batch has {_names(given)}, and the parameters have {_names(own)}. "
            f"TrainConfig(dtype={_names(own)}) casts the batches, and the model too."
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
