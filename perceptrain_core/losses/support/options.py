"""Options that several losses share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from perceptrain_core.errors import ConfigError

#: One weight for each class: a tensor, or numbers as a run file gives them.
Weight: TypeAlias = Tensor | Sequence[float] | None

_SCALAR = ("mean", "sum")


def check_reduction(reduction: str, allowed: Sequence[str] = _SCALAR) -> None:
    """Check that a reduction gives a scalar.

    Raises:
        ConfigError: It is "none", or nothing that is known.
    """
    if reduction in allowed:
        return
    names = ", ".join(f'"{name}"' for name in allowed)
    reason = "a loss must be one number, so " if reduction == "none" else ""
    raise ConfigError(f"reduction={reduction!r}: {reason}expected one of {names}.")


def weight_like(weight: Weight, outputs: Tensor) -> Tensor | None:
    """Give a weight on the device and in the dtype of the outputs.

    A tensor that is there already costs nothing; a sequence becomes a new tensor at each call.
    """
    if weight is None or isinstance(weight, Tensor):
        return weight if weight is None else weight.to(outputs)
    return torch.tensor(weight, dtype=outputs.dtype, device=outputs.device)
