"""A classifier for scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d
from torch import Tensor, nn

from perceptrain_core.errors import ConfigError, DataError, PerceptrainError, ShapeError
from perceptrain_core.estimators.base import PerceptrainEstimator, Task
from perceptrain_core.estimators.parts import build_loss
from perceptrain_core.losses.support.outputs import OutputActivation, activate, output_activation


def _activation_of(loss: Any) -> OutputActivation | None:
    try:
        return output_activation(build_loss(loss))
    except PerceptrainError:
        return "softmax"  # a loss that cannot be built is reported by fit


def _has_probabilities(estimator: PerceptrainClassifier) -> bool:
    if _activation_of(estimator.loss) is None:
        raise AttributeError(
            f"loss={estimator.loss!r:.60} has no probabilities: it does not say with "
            "output_activation that the outputs are logits. Use decision_function, or a loss such "
            "as cross_entropy."
        )
    return True


class PerceptrainClassifier(ClassifierMixin, PerceptrainEstimator):  # type: ignore[misc]
    """A neural network that classifies, trained with any loss, as an estimator of scikit-learn.

    What a loss says about its outputs (`output_activation`) decides what the network learns:

    - ``"softmax"``, such as ``cross_entropy``: an output for each class, and the labels as class
      indices.
    - ``"exp"``, such as ``nll``: the same. A model that is named here ends in a log-softmax.
    - ``"sigmoid"``, such as ``bce_with_logits``: one output, with labels 0 and 1; two classes only.
    - nothing, such as ``multi_margin``: a score for each class, and the labels as class indices.
      There are no probabilities.

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
        standardize: Whether to scale each feature to mean 0 and standard deviation 1 over the rows
            of the fit, weighted by their sample weights. A network hardly learns from features
            of large or very different scales, so this is on by default. If a pipeline scales them
            already, it changes nothing. ``"inputs"`` means the same here.
        early_stopping: Whether to hold out ``validation_fraction`` of the rows of each class, stop
            when the loss over them has not improved for ``n_iter_no_change`` epochs, and restore
            the weights of the best epoch.
        validation_fraction: The share of rows held out.
        n_iter_no_change: Epochs without an improvement.
        metrics: Metrics over the rows held out, see `Trainer`; for ``early_stopping`` only.
        callbacks: Callbacks of the training. They are copied for each fit.
        train: Other fields of `TrainConfig`, such as ``{"grad_clip": 1.0}``.
        random_state: A seed, a ``RandomState`` or ``None``. The same seed gives the same network.

    Attributes:
        classes_: The classes, sorted.
        model_: The trained network; its inputs are the scaled features.
        history_: A dict of figures for each epoch, see `Trainer`.
        loss_curve_: The training loss of each epoch.
        n_iter_: The number of epochs.
        n_features_in_: The number of features.
        feature_names_in_: Their names, if ``X`` has names that are all strings.
    """

    classes_: Any

    def __init__(
        self,
        *,
        model: Any = "ffnn",
        hidden: Sequence[int] = (64, 64),
        loss: Any = "cross_entropy",
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
        super().__init__(
            model=model,
            hidden=hidden,
            loss=loss,
            weighting=weighting,
            optimizer=optimizer,
            lr=lr,
            max_iter=max_iter,
            batch_size=batch_size,
            standardize=standardize,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            metrics=metrics,
            callbacks=callbacks,
            train=train,
            random_state=random_state,
        )

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network.

        Args:
            X: The rows, shape ``(N, D)``.
            y: The class of each row, shape ``(N,)``: numbers or strings.
            sample_weight: A weight for each row, shape ``(N,)``. A row with weight 2 counts as two.

        Returns:
            The estimator.

        Raises:
            ValueError: The data or a parameter are not valid.
            PerceptrainError: A part cannot be built, or the loss does not accept these batches.
        """
        X, y, weights = self._read(X, y, sample_weight)
        check_classification_targets(y)
        self.classes_, indices = np.unique(column_or_1d(y, warn=True), return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(f"y has only one class, {self.classes_[0]}; expected two or more.")
        loss_fn = build_loss(self.loss)
        self._activation = output_activation(loss_fn)
        self._train(X, weights, self._task(loss_fn, indices, X.dtype))
        return self

    def decision_function(self, X: Any) -> Any:
        """Return the outputs of the network.

        Args:
            X: The rows, shape ``(N, D)``.

        Returns:
            Shape ``(N, C)``; for two classes ``(N,)``, positive for the second one.
        """
        outputs = self._class_outputs(X).numpy()
        if outputs.shape[1] == 1:
            return outputs[:, 0]
        return outputs[:, 1] - outputs[:, 0] if outputs.shape[1] == 2 else outputs

    def predict(self, X: Any) -> Any:
        """Return the class with the largest output for each row, shape ``(N,)``."""
        outputs = self._class_outputs(X).numpy()
        one = outputs.shape[1] == 1
        return self.classes_[(outputs[:, 0] > 0).astype(int) if one else outputs.argmax(1)]

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, shape ``(N, C)``, classes as in ``classes_``."""
        shares = activate(self._class_outputs(X), self._activation).numpy()
        return np.hstack([1 - shares, shares]) if shares.shape[1] == 1 else shares

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithms of the probabilities."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = _activation_of(self.loss) != "sigmoid"
        return tags

    def _task(self, loss_fn: Any, indices: Any, dtype: Any) -> Task:
        classes = len(self.classes_)
        if self._activation != "sigmoid":
            end = nn.LogSoftmax(1) if self._activation == "exp" else None
            meaning = "class indices, int64 of shape (N,), as labels"
            return Task(loss_fn, indices, classes, meaning, end, indices)
        if classes > 2:
            raise ConfigError(
                "Only binary classification is supported. The type of the target is multiclass: y "
                f"has {classes} classes, and loss={self.loss!r:.60} has one logit, which separates "
                "two. Use cross_entropy, or wrap the estimator in "
                "sklearn.multiclass.OneVsRestClassifier."
            )
        meaning = "0 and 1, floats of shape (N, 1), as labels"
        return Task(loss_fn, indices[:, None].astype(dtype), 1, meaning, classes=indices)

    def _class_outputs(self, X: Any) -> Tensor:
        outputs = self._outputs(X)
        expected = 1 if self._activation == "sigmoid" else len(self.classes_)
        if outputs.shape[1:] == (expected,):
            return outputs
        raise ShapeError(
            f"The model returned outputs of shape {tuple(outputs.shape)} for {len(outputs)} rows; "
            f"expected ({len(outputs)}, {expected}), for the {len(self.classes_)} classes."
        )
