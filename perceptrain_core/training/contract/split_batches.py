"""Warn where a loss that needs whole batches gets parts of them."""

from __future__ import annotations

from typing import Any

from perceptrain_core.losses.support.outputs import unwrapped
from perceptrain_core.user_warnings import warn_user


def warn_of_split_batches(loss_fn: Any, accumulate: int, world_size: int) -> None:
    """Warn if batches are split for a loss that is not a mean over their rows.

    Args:
        loss_fn: The loss, after its first batch; see `LossFunction` on ``whole_batch``.
        accumulate: Batches per step.
        world_size: The number of processes.

    Warns:
        UserWarning: A step uses several batches.
    """
    loss = _whole_batch_loss(loss_fn)
    if loss is None:
        return
    name = getattr(loss, "__name__", type(loss).__name__)
    if accumulate > 1:
        warn_user(
            f"{name} depends on all rows of a batch together, and accumulate={accumulate} "
            "evaluates it on parts of them: this is another loss than that of one large batch. "
            "Use a larger batch_size instead.",
        )
    if world_size > 1 and not getattr(loss, "gather", False):
        gather = " Its option gather=True uses them all." if hasattr(loss, "gather") else ""
        warn_user(
            f"{name} depends on all rows of a batch together, and each of the {world_size} "
            f"processes only has its own: this is another loss than that of one process.{gather}",
        )


def _whole_batch_loss(loss_fn: Any) -> Any:
    """Return the loss that needs whole batches, which may be inside others."""
    for loss, options in unwrapped(loss_fn):
        needed = getattr(loss, "whole_batch", False)
        if needed(**options) if callable(needed) else needed:
            return loss
    return None
