"""Checks and conversions of options that several losses share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from perceptrain_core.errors import ConfigError
from perceptrain_core.option_checks import check_choice
from perceptrain_core.types import Count, Counted

#: A weight for each class: a tensor, or numbers from a run file.
Weight: TypeAlias = Tensor | Sequence[float] | None

_SCALAR = ("mean", "sum")


def check_reduction(reduction: str, allowed: Sequence[str] = _SCALAR) -> None:
    """Check that a reduction returns a scalar.

    Raises:
        ConfigError: It is "none" or unknown.
    """
    owner = "A loss must be one number" if reduction == "none" else ""
    check_choice("reduction", reduction, allowed, owner=owner)


def over(count: Count, reduction: str) -> Counted:
    """Return the empty metrics of a loss that is a mean over ``count``, or a sum."""
    return Counted({}, None if reduction == "sum" else count)


def weight_like(weight: Weight, outputs: Tensor) -> Tensor | None:
    """Return a weight with the device and dtype of the outputs.

    A tensor that has them already is returned as it is; a sequence is converted at each call.

    Raises:
        ConfigError: It is neither a tensor nor numbers.
    """
    if weight is None or isinstance(weight, Tensor):
        return weight if weight is None else weight.to(outputs)
    try:
        return torch.tensor(weight, dtype=outputs.dtype, device=outputs.device)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"A weight of the loss is {weight!r:.60}: expected a tensor or a list of numbers, such "
            "as [1.0, 3.0]."
        ) from error
