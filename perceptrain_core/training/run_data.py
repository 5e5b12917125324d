"""From the data that a user passes to the trainer to the batches of an epoch."""

from __future__ import annotations

from typing import Any

from perceptrain_core.data import Epochs, ValidationSets, as_loader
from perceptrain_core.errors import DataError
from perceptrain_core.training.context import TrainingContext


def make_epochs(
    trainer: TrainingContext, data: Any, role: str, shuffle: bool = False, per_step: int = 1
) -> Epochs:
    """Return the batches of each epoch.

    Args:
        trainer: Its settings and engine are used.
        data: A loader or anything that one can be made of; ``None`` for one batch ``None``.
        role: ``"train"``, ``"val"`` or ``"test"``.
        shuffle: Whether a loader that has to be created shuffles.
        per_step: Batches per step.

    Raises:
        DataError: The data yield no batches.
    """
    if data is not None:
        data = as_loader(data, trainer.config.batch_size, shuffle, role)
        if role != "test":  # a test has one row per batch, so every process sees all batches
            data = trainer.engine.shard(data, even=role == "train")
    return Epochs(data, trainer.max_batches, per_step)


def training_epochs(trainer: TrainingContext) -> Epochs:
    """Return the training data of a fit."""
    config = trainer.config
    return make_epochs(
        trainer, trainer.train_dataloader, "train", config.shuffle, config.accumulate
    )


def validation_sets(trainer: TrainingContext, data: Any) -> dict[str, Epochs]:
    """Return the validation data by name; the name of a single set is empty.

    Args:
        trainer: Its settings and engine are used.
        data: A loader or anything that one can be made of, or `ValidationSets`.

    Raises:
        DataError: There are none.
    """
    if not isinstance(data, ValidationSets):
        return {"": evaluation_epochs(trainer, data, "val")}
    return {name: evaluation_epochs(trainer, part, "val") for name, part in data.sets.items()}


def fit_validation_sets(trainer: TrainingContext) -> dict[str, Epochs] | None:
    """Return the validation data of a fit by name, or ``None`` if it does not validate.

    Raises:
        DataError: The settings ask for validations, and there are no data.
    """
    config = trainer.config
    if not config.validates:
        return None
    if trainer.val_dataloader is None:
        name = "val_every" if config.val_every else "val_every_steps"
        raise DataError(
            f"{name}={getattr(config, name)}, but there are no validation data: pass "
            f"val_dataloader, or set {name}=0."
        )
    return validation_sets(trainer, trainer.val_dataloader)


def evaluation_epochs(trainer: TrainingContext, data: Any, role: str) -> Epochs:
    """Return the data of a validation or test outside a fit.

    Raises:
        DataError: There are none.
    """
    if data is None:
        raise DataError(f"There are no data to evaluate on: pass {role}_dataloader.")
    return make_epochs(trainer, data, role)
