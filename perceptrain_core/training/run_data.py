"""From the data that a user passes to the trainer to the batches of an epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from perceptrain_core.data import Epochs, ValidationSets, as_loader
from perceptrain_core.data.dict_loader import DictDataLoader
from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.errors import DataError
from perceptrain_core.optimizer_steps import is_second_order, stages_of
from perceptrain_core.tensors import describe
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.types import Loader
from perceptrain_core.user_warnings import warn_user


def make_epochs(
    trainer: TrainingContext,
    data: Any,
    role: str,
    shuffle: bool = False,
    per_step: int = 1,
    drop_last: bool = False,
) -> Epochs:
    """Return the batches of each epoch.

    Args:
        trainer: Its settings and engine are used.
        data: A loader or anything that one can be made of; ``None`` for one batch ``None``.
        role: ``"train"``, ``"val"`` or ``"test"``.
        shuffle: Whether a loader that has to be created shuffles.
        drop_last: Whether such a loader leaves out a last batch that is not full.
        per_step: Batches per step.

    Raises:
        DataError: The data yield no batches.

    Warns:
        UserWarning: A second-order optimizer would take a step for each row.
    """
    if data is not None:
        given = data
        data = as_loader(given, trainer.config.batch_size, shuffle, role, drop_last)
        if role == "train" and data is not given:
            _warn_of_single_rows(data, trainer.optimizer)
        if role != "test":  # a test has one row per batch, so every process sees all batches
            data = trainer.engine.shard(data, even=role == "train")
    return Epochs(data, trainer.max_batches, per_step)


def _warn_of_single_rows(loader: Loader, optimizer: Any) -> None:
    """Warn if tensors are split into rows for an optimizer that minimizes the loss of a batch."""
    kinds = [type(stage).__name__ for stage in stages_of(optimizer) if is_second_order(stage)]
    parts = loader.dataloaders.values() if isinstance(loader, DictDataLoader) else [loader]
    tables = [p for p in parts if isinstance(p, TensorLoader) and p.batch_size == 1]
    rows = max(map(len, tables), default=1)
    if kinds and rows > 1:
        warn_user(
            f"batch_size=1, so each step of {kinds[0]} minimizes the loss of one row of {rows}, "
            f"whatever the others say. Set batch_size={rows}, for one step on all rows."
        )


def check_not_labels(train: Any, val: Any, val_every: int) -> None:
    """Refuse inputs and labels that were passed as training and validation data.

    Raises:
        DataError: Both are one tensor or array, with the same number of rows, and they cannot be
            both inputs: their rows have different shapes, or nothing is validated.
    """
    if not all(isinstance(data, Tensor | np.ndarray) and data.ndim for data in (train, val)):
        return
    if len(train) == len(val) and (train.shape[1:] != val.shape[1:] or not val_every):
        raise DataError(
            f"The training data are {describe(train)}, and the validation data {describe(val)}. If "
            "these are inputs and labels, pass them together: fit((x, y)), and for validation "
            "fit((x, y), (x_val, y_val)) with val_every=1."
        )


def training_epochs(trainer: TrainingContext) -> Epochs:
    """Return the training data of a fit."""
    config = trainer.config
    data, order = trainer.train_dataloader, (config.shuffle, config.accumulate, config.drop_last)
    return make_epochs(trainer, data, "train", *order)


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
