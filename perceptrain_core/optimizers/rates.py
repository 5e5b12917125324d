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
