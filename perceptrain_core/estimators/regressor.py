"""A regressor for scikit-learn."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_is_fitted

from perceptrain_core.errors import ConfigError, PerceptrainError, ShapeError
from perceptrain_core.estimators.base import PerceptrainEstimator, Task
from perceptrain_core.estimators.parts import build_loss, outputs_for
from perceptrain_core.estimators.scaling import Scaling
from perceptrain_core.losses.support.outputs import (
    activate,
    any_says,
    output_activation,
    outputs_per_label,
    point_predictor,
    prediction_column,
)
from perceptrain_core.plurals import counted


class PerceptrainRegressor(RegressorMixin, PerceptrainEstimator):  # type: ignore[misc]
    """A neural network for regression, trained with any loss, as an estimator of scikit-learn.

    The loss gets the labels as floats of shape ``(N, 1)``, or ``(N, K)`` for several targets, and
    the network has as many outputs, unless the loss needs another number. They are predictions, or
    the loss says what they are (`output_activation`): with ``poisson_nll``, logarithms of rates, so
    the predictions are their exponentials. Of several outputs for each target, the loss says which
    `predict` returns: with ``gaussian_nll``, the means; with ``quantile``, the quantile next to the
    median. `predict_all` returns all quantiles.

    Training computes in the dtype of ``X``, float32 or float64, and in float64 for any other. It
    prints nothing, and writes no files unless ``train`` says so. It leaves the random generators
    of the process unchanged.

    Args:
        model: The name of a model, a mapping with a name and options, an ``nn.Module``, which is
            copied for each fit, or a function ``(n_features, n_outputs)`` that returns one.
        hidden: The hidden sizes of a named model with an option ``layers``, such as ``"ffnn"``.
        loss: The name of a loss, a mapping with a name and options, a loss
            ``(batch, model) -> (loss, metrics)`` or a criterion of ``torch.nn``. It is copied for
            each fit. Batches are ``(X, labels)``, or ``(X, labels, weights)`` with sample weights.
        weighting: Weights the terms of the loss, see `Trainer`.
        optimizer: The name of an optimizer, or a mapping with a name and options.
        lr: Its learning rate, unless the mapping has one; ``None`` for its own default.
        max_iter: The number of epochs.
        batch_size: Rows in a batch; ``"auto"`` is 200, or all rows if they are fewer.
        standardize: Whether to scale each feature and each target to mean 0 and standard deviation
            1 over the rows of the fit, weighted by their sample weights, and to scale predictions
            back. A network hardly learns targets far from 0, or from features of large or very
            different scales, so this is on by default. The loss, its options and its figures are
            then in units of the standard deviation. ``"inputs"`` scales the features alone, for a
            loss that needs the labels as they are, such as ``relative_l2``. Labels are also left as
            they are if the outputs are not predictions, as with ``poisson_nll``, or if the loss
            says that they must be, with ``unscaled_labels``.
        early_stopping: Whether to hold out ``validation_fraction`` of the rows, stop when the loss
            over them has not improved for ``n_iter_no_change`` epochs, and restore the weights of
            the best epoch.
        validation_fraction: The share of rows held out.
        n_iter_no_change: Epochs without an improvement.
        metrics: Metrics over the rows held out, see `Trainer`; for ``early_stopping`` only.
        callbacks: Callbacks of the training. They are copied for each fit.
        train: Other fields of `TrainConfig`, such as ``{"grad_clip": 1.0}``.
        random_state: A seed, a ``RandomState`` or ``None``. The same seed gives the same network.

    Attributes:
        model_: The trained network, from scaled features to scaled targets.
        history_: A dict of figures for each epoch, see `Trainer`.
        loss_curve_: The training loss of each epoch.
        n_iter_: The number of epochs.
        n_features_in_: The number of features.
        feature_names_in_: Their names, if ``X`` has names that are all strings.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network.

        Args:
            X: The rows, shape ``(N, D)``.
            y: The target of each row, shape ``(N,)``, or several, ``(N, K)``.
            sample_weight: A weight for each row, shape ``(N,)``. A row with weight 2 counts as two.

        Returns:
            The estimator.

        Raises:
            ValueError: The data or a parameter are not valid.
            PerceptrainError: A part cannot be built, or the loss does not accept these batches.
        """
        X, y, weights = self._read(X, y, sample_weight, multi_output=True, y_numeric=True)
        self._one_target = y.ndim == 1
        labels = y.reshape(len(y), -1).astype(np.float64)
        loss_fn = build_loss(self.loss)
        self._activation = output_activation(loss_fn)
        scales = self._scales("targets") and self._activation is None
        scales = scales and not any_says(loss_fn, "unscaled_labels")
        self._target_scaling = Scaling.of(labels, weights) if scales else Scaling()
        labels = self._target_scaling.scaled(labels).astype(X.dtype)
        self._targets = labels.shape[1]
        self._outputs_per_target = outputs_per_label(loss_fn)
        self._column = prediction_column(loss_fn)
        computes = any_says(loss_fn, "point_prediction")
        self._points = point_predictor(loss_fn) if computes else None
        self._expected = outputs_for(self.loss, loss_fn, self._targets)
        if scales and self._targets > 1 and self._returns_all:
            raise ConfigError(
                f"loss={self.loss!r:.60} has {counted(self._expected, 'output')} for "
                f"{self._targets} columns of y, so predictions cannot be scaled back: set "
                'standardize="inputs", which leaves y as it is.'
            )
        meaning = f"the columns of y as labels, floats of shape (N, {self._targets}),"
        if scales:
            meaning += ' scaled (standardize="inputs" leaves them as they are),'
        self._train(X, weights, Task(loss_fn, labels, self._expected, meaning))
        return self

    def predict(self, X: Any) -> Any:
        """Predict the targets.

        Args:
            X: The rows, shape ``(N, D)``.

        Returns:
            Shape ``(N,)``, or ``(N, K)``, as the ``y`` of the fit: of several quantiles the median,
            of an ensemble its mean. If the loss has no such prediction, as ``interval_score``, all
            outputs, as `predict_all` returns them.

        Raises:
            ShapeError: The model returned fewer outputs.
        """
        check_is_fitted(self)
        if self._returns_all:
            outputs = self._activated(X, self._expected)
            return self._restored(self._predicted(outputs))
        first, several = self._column or 0, self._outputs_per_target > 1
        number = self._expected // self._outputs_per_target if several else self._targets
        return self._restored(self._activated(X, first + number)[:, first:])

    def predict_all(self, X: Any) -> Any:
        """Predict with all outputs of the network, such as the quantiles of ``quantile``.

        Args:
            X: The rows, shape ``(N, D)``.

        Returns:
            Shape ``(N, outputs)``, in the unit of the target.

        Raises:
            ConfigError: The outputs are not all predictions, such as the variances of
                ``gaussian_nll``.
            ShapeError: The model returned fewer outputs.
        """
        check_is_fitted(self)
        if self._outputs_per_target > 1:
            raise ConfigError(
                f"loss={self.loss!r:.60} has other parameters than predictions among its outputs, "
                "which have no unit of the target: use predict, or evaluate model_ yourself."
            )
        outputs = self._activated(X, self._expected)
        return self._restored(outputs).reshape(len(outputs), -1)

    def _predicted(self, outputs: Any) -> Any:
        """Return the predictions that the loss computes from its outputs; else the outputs."""
        if self._points is None:
            return outputs
        labels = torch.zeros(len(outputs), self._targets)
        try:
            points = self._points(torch.from_numpy(outputs), labels)
        except PerceptrainError:  # the loss has no predictions, such as interval_score
            return outputs
        return points.reshape(len(outputs), -1).numpy()

    @property
    def _returns_all(self) -> bool:
        """Whether there are more or fewer outputs than targets, and the loss does not say which."""
        return self._column is None and self._expected != self._targets

    def _activated(self, X: Any, number: int) -> Any:
        """Return the first outputs of the network, after the activation that the loss names."""
        outputs = activate(self._outputs(X), self._activation).numpy()
        if outputs.ndim != 2 or outputs.shape[1] < number:
            raise ShapeError(
                f"The model returned outputs of shape {outputs.shape} for {len(outputs)} rows; "
                f"expected ({len(outputs)}, {self._expected}), as the loss needs for "
                f"{counted(self._targets, 'target')}."
            )
        return outputs[:, :number]

    def _restored(self, outputs: Any) -> Any:
        """Scale back, and leave out the second dimension if it is 1 and ``y`` had none."""
        predictions = self._target_scaling.unscaled(outputs)
        one = predictions.shape[1] == 1 and (self._one_target or self._targets > 1)
        return np.ravel(predictions) if one else predictions

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
