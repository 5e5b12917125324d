"""The hooks of the trainer, which subclasses override."""

from __future__ import annotations

from typing import Any

from perceptrain_core.types import Metrics, StepResult
from perceptrain_core.user_warnings import warn_user

Losses = list[tuple[float, dict[str, float]]]


class TrainerHooks:
    """Methods called at each stage, before the callbacks; by default they do nothing."""

    def on_train_start(self) -> None:
        """Called once, when everything is ready."""

    def on_train_end(self, train_losses: Losses, val_losses: Losses) -> None:
        """Called once, at the end.

        Args:
            train_losses: For each epoch the average loss and the averages of the metrics.
            val_losses: The same for each validation.
        """

    def on_train_epoch_start(self) -> None:
        """Called before the first batch of an epoch."""

    def on_train_epoch_end(self, metrics: Metrics) -> None:
        """Called after an epoch and its validation, with the epoch's row of the history."""

    def on_train_batch_start(self, batch: Any) -> None:
        """Called before a step, with each of its batches."""

    def on_train_batch_end(self, loss_metrics: StepResult) -> None:
        """Called after a step, with the detached loss and the metrics of each batch."""

    def on_val_epoch_start(self) -> None:
        """Called before the first batch of a validation."""

    def on_val_epoch_end(self, metrics: Metrics) -> None:
        """Called after a validation, with its averages."""

    def on_val_batch_start(self, batch: Any) -> None:
        """Called before each batch of a validation."""

    def on_val_batch_end(self, loss_metrics: StepResult) -> None:
        """Called after each batch of a validation, with its loss and metrics."""

    def on_test_batch_start(self, batch: Any) -> None:
        """Called before each batch of a test."""

    def on_test_batch_end(self, loss_metrics: StepResult) -> None:
        """Called after each batch of a test, with its loss and metrics."""


#: Methods that trainers of perceptrain 0.1.0 had, and what to use instead.
_NEVER_CALLED = {
    "run_train_batch": (
        "To change the step, pass optimize_step=f to the trainer; to act around a step, override "
        "on_train_batch_start and on_train_batch_end"
    ),
    "run_validation": (
        "To act around a validation, override on_val_epoch_start and on_val_epoch_end, or "
        "on_val_batch_start and on_val_batch_end; to report other values, return them as metrics "
        "of the loss"
    ),
}


def warn_of_methods_never_called(trainer: type) -> None:
    """Warn of methods by which a subclass may mean to change the training.

    Warns:
        UserWarning: For each such method.
    """
    for name, advice in _NEVER_CALLED.items():
        if hasattr(trainer, name):
            warn_user(
                f"fit never calls {trainer.__name__}.{name}. {advice}. If the method is for your "
                "own use, rename it.",
            )


def losses_of(history: list[dict[str, float]], prefix: str) -> Losses:
    """Return ``(PREFIX_loss, {PREFIX_NAME: value})`` for each row of a history that has them."""
    rows = [{k: v for k, v in row.items() if k.startswith(f"{prefix}_")} for row in history]
    return [(row[f"{prefix}_loss"], row) for row in rows if row]
