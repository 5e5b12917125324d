"""What the estimators share: their parameters, and how a fit trains a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor, nn

from perceptrain_core.callbacks import EarlyStopping
from perceptrain_core.errors import ConfigError, DataError, ShapeError
from perceptrain_core.estimators.checks import check_parameters, seed_of
from perceptrain_core.estimators.parts import build_config, build_model, named
from perceptrain_core.estimators.scaling import Scaling
from perceptrain_core.inference.outputs import evaluate, row_parts
from perceptrain_core.random_state import kept_random_state, seed_everything
from perceptrain_core.tensors import describe, numpy_to_tensor
from perceptrain_core.training.trainer import Trainer

#: Parameters whose options are parameters too, such as ``optimizer__lr``.
_NESTED = ("model", "loss", "weighting", "optimizer", "train")
_DTYPES = (np.float64, np.float32)


@dataclass
class Task:
    """What a network learns.

    Attributes:
        loss_fn: The loss.
        labels: What the loss expects, an array with a row each.
        outputs: The number of outputs that it expects of the network.
        meaning: The labels in words, for messages.
        end: A module to add to a network that is built from a name, or ``None``.
        classes: The class of each row, to stratify the validation rows, or ``None``.
    """

    loss_fn: Any
    labels: Any
    outputs: int
    meaning: str
    end: nn.Module | None = None
    classes: Any = None


class PerceptrainEstimator(BaseEstimator):  # type: ignore[misc]
    """The base class of `PerceptrainClassifier` and `PerceptrainRegressor`."""

    model_: nn.Module
    history_: list[dict[str, float]]
    loss_curve_: list[float]
    n_iter_: int
    n_features_in_: int

    def __init__(
        self,
        *,
        model: Any = "ffnn",
        hidden: Sequence[int] = (64, 64),
        loss: Any = "mse",
        weighting: Any = None,
        optimizer: Any = "adam",
        lr: float | None = 1e-3,
        max_iter: int = 200,
        batch_size: int | str = "auto",
        standardize: bool | str = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        metrics: Any = None,
        callbacks: Sequence[Any] | None = None,
        train: Mapping[str, Any] | None = None,
        random_state: Any = None,
    ) -> None:
        self.model = model
        self.hidden = hidden
        self.loss = loss
        self.weighting = weighting
        self.optimizer = optimizer
        self.lr = lr
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.standardize = standardize
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.metrics = metrics
        self.callbacks = callbacks
        self.train = train
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters by name.

        Args:
            deep: Whether to add the options of parts that are mappings, such as ``loss__delta``.
        """
        params: dict[str, Any] = super().get_params(deep=deep)
        for name in _NESTED if deep else ():
            options = params[name] if isinstance(params[name], Mapping) else {}
            params |= {f"{name}__{key}": options[key] for key in options if key != "name"}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters, and options of parts: ``set_params(loss="huber", loss__delta=2.0)``.

        Raises:
            ValueError: There is no such parameter.
        """
        split = {key: key.partition("__") for key in params}
        nested = {key for key, (name, mark, _) in split.items() if mark and name in _NESTED}
        super().set_params(**{key: value for key, value in params.items() if key not in nested})
        for key in nested:
            name, _, option = split[key]
            given = getattr(self, name)
            options = dict(given or {}) if name == "train" else named(given)
            setattr(self, name, {**options, option: params[key]})
        return self

    def _read(self, X: Any, y: Any, sample_weight: Any, **checks: Any) -> tuple[Any, Any, Any]:
        """Return rows, labels and weights as arrays, checked."""
        check_parameters(type(self).__name__, self.get_params(deep=False))
        X, y = validate_data(self, X, y, dtype=_DTYPES, **checks)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=X.dtype)
        return X, y, sample_weight

    def _train(self, X: Any, weights: Any, task: Task) -> None:
        """Train a new network on rows of shape ``(N, D)`` with weights ``(N,)`` or ``None``."""
        seed = seed_of(self.random_state)
        self._scaling = Scaling.of(X, weights) if self._scales("inputs") else Scaling()
        arrays = [self._scaling.scaled(X), task.labels, *([] if weights is None else [weights])]
        rows, held_out = self._split(arrays, task.classes, seed)
        # The process has generators of its own, which a fit leaves as they were.
        with kept_random_state():
            seed_everything(seed)
            trainer = self._trainer(task, rows, seed)
            try:
                trainer.fit(rows, held_out)
            except (DataError, ShapeError) as error:
                error.add_note(f"{type(self).__name__} passes {task.meaning} to the loss.")
                raise
        if trainer.interrupted:
            raise KeyboardInterrupt
        self.model_ = trainer.model.cpu()
        self.history_ = [dict(row) for row in trainer.history]
        self.loss_curve_ = [row["train_loss"] for row in self.history_]
        self.n_iter_ = len(self.history_)

    def _scales(self, what: str) -> bool:
        return self.standardize in (True, what)

    def _split(self, arrays: list[Any], classes: Any, seed: int) -> tuple[Any, Any]:
        """Return the rows to train on, and those to validate on if training may stop early."""
        if not self.early_stopping:
            if self.metrics:
                raise ConfigError(
                    "metrics are computed over validation rows, and there are none: set "
                    "early_stopping=True, or score the estimator with scikit-learn."
                )
            return tuple(map(numpy_to_tensor, arrays)), None
        share = self.validation_fraction
        parts = train_test_split(*arrays, test_size=share, stratify=classes, random_state=seed)
        tensors = tuple(map(numpy_to_tensor, parts))
        return tensors[::2], tensors[1::2]

    def _trainer(self, task: Task, rows: Sequence[Tensor], seed: int) -> Trainer:
        model = build_model(self.model, self.hidden, self.n_features_in_, task.outputs)
        if task.end is not None and isinstance(self.model, str | Mapping):
            model = nn.Sequential(model, task.end)
        config = build_config(
            self.train,
            self._stopping(),
            max_iter=self.max_iter,
            batch_size=min(200, len(rows[0])) if self.batch_size == "auto" else self.batch_size,
            callbacks=self.callbacks,
            dtype=rows[0].dtype,
            seed=seed,
        )
        optimizer = self.optimizer
        if self.lr is not None and isinstance(optimizer, str | Mapping):
            optimizer = {"lr": self.lr, **named(optimizer)}
        others = deepcopy({"weighting": self.weighting, "metrics": self.metrics})
        return Trainer(model, optimizer, config, task.loss_fn, **others)

    def _stopping(self) -> EarlyStopping | None:
        if not self.early_stopping:
            return None
        patience = self.n_iter_no_change
        return EarlyStopping(
            "val_epoch_end", monitor="val_loss", patience=patience, restore_best=True
        )

    def _outputs(self, X: Any) -> Tensor:
        """Return the outputs of the network for rows of shape ``(N, D)``."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=_DTYPES, reset=False)
        rows = numpy_to_tensor(self._scaling.scaled(X))
        rows = rows.to(next(self.model_.parameters(), rows).dtype)
        return torch.cat([_tensor(evaluate(self.model_, part)) for part in row_parts(rows)])


def _tensor(outputs: Any) -> Tensor:
    """Return the prediction of a model that may return more, such as ``(mean, variance)``."""
    first = outputs[0] if isinstance(outputs, tuple | list) and outputs else outputs
    if isinstance(first, Tensor):
        return first
    raise DataError(
        f"The model returned {describe(outputs)}; expected a tensor with a row for each row of X, "
        "or a tuple that begins with one."
    )
