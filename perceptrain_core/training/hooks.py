"""What a subclass of the trainer may override: each of these does nothing until then."""

from __future__ import annotations

from typing import Any

from perceptrain_core.types import Metrics, StepResult

Losses = list[tuple[float, dict[str, float]]]


class TrainerHooks:
    """Methods called as training goes on, before the callbacks of the same stage."""

    def on_train_start(self) -> None:
        """Once, when everything is ready."""

    def on_train_end(self, train_losses: Losses, val_losses: Losses) -> None:
        """Once, at the end.

        Args:
            train_losses: For each epoch the mean loss and the means of the metrics.
            val_losses: The same for each validation.
        """

    def on_train_epoch_start(self) -> None:
        """Before the first batch of an epoch."""

    def on_train_epoch_end(self, metrics: Metrics) -> None:
        """After an epoch and its validation; the metrics are the epoch's row of the history."""

    def on_train_batch_start(self, batch: Any) -> None:
        """Before a step."""

    def on_train_batch_end(self, loss_metrics: StepResult) -> None:
        """After a step, with its detached loss and its metrics."""

    def on_val_epoch_start(self) -> None:
        """Before the first batch of a validation."""

    def on_val_epoch_end(self, metrics: Metrics) -> None:
        """After a validation, with its means."""

    def on_val_batch_start(self, batch: Any) -> None:
        """Before a batch of a validation."""

    def on_val_batch_end(self, loss_metrics: StepResult) -> None:
        """After a batch of a validation."""

    def on_test_batch_start(self, batch: Any) -> None:
        """Before a batch of a test."""

    def on_test_batch_end(self, loss_metrics: StepResult) -> None:
        """After a batch of a test."""


def losses_of(history: list[dict[str, float]], prefix: str) -> Losses:
    """Give ``(PREFIX_loss, {PREFIX_NAME: value})`` for each row of a history that has it."""
    rows = [{k: v for k, v in row.items() if k.startswith(f"{prefix}_")} for row in history]
    return [(row[f"{prefix}_loss"], row) for row in rows if row]
