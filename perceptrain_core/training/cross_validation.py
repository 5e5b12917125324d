"""Cross-validation: train a new model for each fold, and validate it on the rows left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import nan
from statistics import fmean, stdev
from typing import Any

from perceptrain_core.data.files.folds import fold_rows
from perceptrain_core.data.files.splits import Splits
from perceptrain_core.data.files.splits import standardize as standardized
from perceptrain_core.errors import TrainingError
from perceptrain_core.tensors import describe, promote_to_tensor
from perceptrain_core.training.averages import Row
from perceptrain_core.training.trainer import Trainer


@dataclass
class FoldScores:
    """The validation figures of the folds of a cross-validation.

    Attributes:
        rows: For each fold ``val_loss`` and ``val_NAME`` for each metric, as floats.
        trainers: The trainers of the folds, with their models.
    """

    rows: list[Row]
    trainers: list[Trainer] = field(default_factory=list, repr=False)

    @property
    def mean(self) -> Row:
        """The mean of each figure over the folds."""
        return {name: fmean(values) for name, values in self._figures().items()}

    @property
    def std(self) -> Row:
        """The sample standard deviation of each figure; NaN for a single fold."""
        figures = self._figures().items()
        return {name: stdev(values) if len(values) > 1 else nan for name, values in figures}

    def _figures(self) -> dict[str, list[float]]:
        names = dict.fromkeys(name for row in self.rows for name in row)
        return {name: [row[name] for row in self.rows if name in row] for name in names}


def cross_validate(
    make_trainer: Callable[[], Trainer],
    data: Any,
    *,
    folds: int = 5,
    seed: int = 0,
    standardize: bool = False,
) -> FoldScores:
    """Train a new model for each fold on the other folds, and validate it on the fold.

    Files are written to the subfolders ``fold_1``, ``fold_2`` and so on of the log folder.

    Args:
        make_trainer: Returns a new trainer with a new model. ``config.seed`` seeds only the fit:
            seed the initial weights here, if they are to be the same in each fold.
        data: A tensor or NumPy array of shape ``(N, ...)``, or a tuple of them: the inputs, the
            labels, and sample weights if there are any. If the labels are classes, integers of
            shape ``(N,)``, the folds are stratified.
        folds: The number of folds, from 2 to the number of rows.
        seed: The same seed makes the same folds.
        standardize: Scale the inputs to mean 0 and standard deviation 1 over the training rows of
            each fold.

    Returns:
        The figures of each fold, their means and standard deviations. After Ctrl-C or SIGTERM,
        those of the folds that are complete.

    Raises:
        DataError: The data cannot be divided into folds.
        TrainingError: ``make_trainer`` is not a function, returns something else, or a model that
            it returned before.
    """
    if not callable(make_trainer):
        raise TrainingError(
            f"make_trainer is {describe(make_trainer)}; expected a function without arguments that "
            "returns a new Trainer, such as lambda: Trainer(FFNN([2, 16, 1]), 'adam', config)."
        )
    parts = data if isinstance(data, tuple | list) else (data,)
    whole = Splits(tuple(promote_to_tensor(part) for part in parts))
    scores = FoldScores([])
    for fold in range(1, folds + 1):
        splits = fold_rows(whole, folds, fold, seed)
        splits = standardized(splits) if standardize else splits
        trainer = make_trainer()
        _check_new(trainer, scores.trainers)
        folder = trainer.config.log_folder / f"fold_{fold}"
        trainer.config = replace(trainer.config, log_folder=folder)
        trainer.fit(splits.train, splits.val if trainer.config.val_every else None)
        if trainer.interrupted:
            break
        scores.trainers.append(trainer)
        scores.rows.append(trainer.validate(splits.val))
    return scores


def _check_new(trainer: Any, earlier: list[Trainer]) -> None:
    if not isinstance(trainer, Trainer):
        raise TrainingError(
            f"make_trainer returned a {type(trainer).__name__}; expected a new Trainer."
        )
    if any(trainer.model is one.model for one in earlier):
        raise TrainingError(
            "make_trainer returned the model of an earlier fold, which was trained on the rows "
            "that this fold validates on. Create a new model and optimizer inside of make_trainer."
        )
