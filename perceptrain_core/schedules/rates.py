"""Read and set the learning rates of an optimizer."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from perceptrain_core.errors import PerceptrainError, TrainingError
from perceptrain_core.optimizer_steps import is_second_order, stages_of


def rate_groups(
    optimizer: Any, owner: str, error: type[PerceptrainError] = TrainingError
) -> list[dict[str, Any]]:
    """Return the parameter groups of an optimizer, all of which have a learning rate.

    Args:
        optimizer: The optimizer.
        owner: Who sets the rates, for the message.
        error: The error to raise.

    Raises:
        TrainingError: The optimizer has no learning rates, or all of its steps are second-order,
            whose length it chooses itself; the class is ``error``.
    """
    if all(map(is_second_order, stages_of(optimizer))):
        raise error(
            f"{owner} sets learning rates, but {type(optimizer).__name__} is a second-order "
            f"optimizer, which chooses the length of its steps: leave {owner} out."
        )
    groups: list[dict[str, Any]] = getattr(optimizer, "param_groups", [])
    if groups and all("lr" in group for group in groups):
        return groups
    raise error(
        f"{owner} sets learning rates, and {type(optimizer).__name__} has none: use an optimizer "
        f"of torch.optim, or leave {owner} out."
    )


def set_rate(group: dict[str, Any], rate: float | Tensor) -> None:
    """Set the learning rate of a parameter group; a tensor is changed in place."""
    if isinstance(group["lr"], Tensor):  # captured and compiled optimizers hold on to the tensor
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate
