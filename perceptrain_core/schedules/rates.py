"""The learning rates of an optimizer."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def set_rate(group: dict[str, Any], rate: Any) -> None:
    """Set the learning rate of a parameter group, a number or a tensor."""
    if isinstance(group["lr"], Tensor):  # as captured and compiled optimizers have it
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def begin_epoch(optimizer: Any, epoch: int) -> None:
    """Tell an optimizer that an epoch begins, if it has a method ``begin_epoch`` to be told."""
    told = getattr(optimizer, "begin_epoch", None)
    if told is not None:
        told(epoch)
