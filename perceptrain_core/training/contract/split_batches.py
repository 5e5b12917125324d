"""Warn where a loss that needs whole batches gets parts of them."""

from __future__ import annotations

from typing import Any

from perceptrain_core.user_warnings import warn_user


def warn_of_split_batches(loss_fn: Any, accumulate: int, world_size: int) -> None:
    """Warn if batches are split for a loss that compares their rows with each other.

    Args:
        loss_fn: The loss; one with a true attribute ``whole_batch`` compares rows.
        accumulate: Batches per step.
        world_size: The number of processes.

    Warns:
        UserWarning: A step uses several batches.
    """
    loss = _comparing(loss_fn)
    if loss is None:
        return
    name = getattr(loss, "__name__", type(loss).__name__)
    if accumulate > 1:
        warn_user(
            f"{name} compares the rows of a batch with each other, and accumulate={accumulate} "
            "splits a step into batches that are compared one by one: this is another loss than "
            "that of one large batch. Use a larger batch_size instead.",
        )
    if world_size > 1 and not getattr(loss, "gather", False):
        gather = " Its option gather=True compares them all." if hasattr(loss, "gather") else ""
        warn_user(
            f"{name} compares the rows of a batch with each other, and each of the {world_size} "
            f"processes only has its own: this is another loss than that of one process.{gather}",
        )


def _comparing(loss_fn: Any) -> Any:
    """Return the loss that needs whole batches, which may be inside others."""
    while loss_fn is not None:
        if getattr(loss_fn, "whole_batch", False):
            return loss_fn
        loss_fn = getattr(loss_fn, "loss_fn", None) or getattr(loss_fn, "func", None)
    return None
