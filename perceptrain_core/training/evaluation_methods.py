"""The methods of the trainer that evaluate: validation, test and prediction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from torch import nn

from perceptrain_core.callbacks.write_metrics import write_metrics
from perceptrain_core.inference.predictions import Predictions
from perceptrain_core.optimizer_modes import evaluated_weights
from perceptrain_core.training.averages import Row
from perceptrain_core.training.context import TrainingContext
from perceptrain_core.training.contract.torch_errors import explained_errors
from perceptrain_core.training.evaluation import Evaluation, TestRows
from perceptrain_core.training.prediction import predict
from perceptrain_core.training.run_data import evaluation_epochs, validation_sets
from perceptrain_core.training.session import Session, join_session, open_session


class _FittedModel(Protocol):
    """What is used of the latest fit: the model that validations see."""

    @property
    def evaluated_model(self) -> nn.Module: ...


class _Evaluated(TrainingContext, Protocol):
    """What these methods use of the trainer."""

    test_metrics: Row
    _session: Session | None

    @property
    def _fit(self) -> _FittedModel | None: ...

    def _renew_engine(self) -> None: ...

    def _open_session(self) -> AbstractContextManager[Session]: ...

    def _evaluation(self) -> AbstractContextManager[Evaluation]: ...


class Evaluations:
    """The evaluations of a `Trainer`."""

    _session: Session | None

    def validate(self: _Evaluated, val_dataloader: Any = None) -> Row:
        """Evaluate the loss on the validation data, in evaluation mode and without gradients.

        Args:
            val_dataloader: Used instead of the data passed before.

        Returns:
            ``val_loss`` and ``val_NAME`` for each metric of the loss, averages over the data, and
            for each of ``metrics``, over all rows at once. For `ValidationSets`, also those over
            each set.

        Raises:
            DataError: There are no validation data.
        """
        data = self.val_dataloader if val_dataloader is None else val_dataloader
        val = validation_sets(self, data)
        with self._evaluation() as evaluation:
            return evaluation.validate(val, self.current_epoch)

    def test(self: _Evaluated, test_dataloader: Any = None) -> TestRows:
        """Evaluate the loss on the test data, in evaluation mode and without gradients.

        Args:
            test_dataloader: Used instead of the data passed before.

        Returns:
            ``test_loss`` and ``test_NAME`` for each metric of the loss, one row per batch. The
            attribute ``means`` of the list has the averages and ``metrics`` over the test data; if
            ``config.write_every`` is set, the metrics are written to the tracker.

        Raises:
            DataError: There are no test data.
        """
        data = self.test_dataloader if test_dataloader is None else test_dataloader
        test = evaluation_epochs(self, data, "test")
        with self._evaluation() as evaluation:
            rows = evaluation.test(test)
            if self.config.write_every and self.metrics:
                assert self._session is not None
                write_metrics(self, self._session.tracker, "test", self.test_metrics)
            return rows

    def predict(self: _Evaluated, data: Any, batch_size: int = 8192) -> Predictions:
        """Predict rows, in evaluation mode and without gradients.

        Args:
            data: A tensor or an array of inputs, shape ``(N, ...)``; or a loader, whose labels are
                ignored.
            batch_size: The rows of a tensor or an array that are evaluated at a time.

        Returns:
            The predictions on the CPU: with a loss of classes, such as ``cross_entropy``, their
            numbers and probabilities; with others what the model returned, as a probability or rate
            if the loss takes its logit or logarithm. Of a PINN, the network is evaluated.

        Raises:
            DataError: The data have no rows, or the model returned something other than a tensor.
        """
        self._renew_engine()
        self.engine.prepare(self.model, self.optimizer, self.loss_fn)
        model = self.model if self._fit is None else self._fit.evaluated_model
        dtype = self.config.float_dtype
        with evaluated_weights(self.optimizer), explained_errors(model):
            return predict(model, self.loss_fn, data, batch_size, self.engine.device, dtype)

    @contextmanager
    def _open_session(self: _Evaluated) -> Iterator[Session]:
        if self._session is not None:  # a callback validates or tests during the fit
            with join_session(self, self._session) as session:
                yield session
            return
        with open_session(self) as session:
            self._session = session
            try:
                yield session
            finally:
                self._session = None

    @contextmanager
    def _evaluation(self: _Evaluated) -> Iterator[Evaluation]:
        self._renew_engine()
        self.engine.prepare(self.model, self.optimizer, self.loss_fn)
        model = self.model if self._fit is None else self._fit.evaluated_model
        with self._open_session() as session, explained_errors(model):
            yield Evaluation(self, session.events, model)
