"""Wrap criteria of ``torch.nn``, and any ``criterion(outputs, labels)``, as losses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain_core.errors import DataError, LossContractError
from perceptrain_core.losses.support.batches import RESIDUAL_LOSSES, predict, split_batch
from perceptrain_core.losses.support.classes import out_of_range
from perceptrain_core.losses.support.criterion_arguments import (
    Fit,
    check_domain,
    counted,
    fit_for,
    is_mean,
    is_one_of,
    is_pointwise,
    takes_labels,
)
from perceptrain_core.losses.support.outputs import OutputActivation, output_activation
from perceptrain_core.losses.support.residuals import add_terms
from perceptrain_core.losses.support.squares import no_squares, squared_differences
from perceptrain_core.tensors import describe
from perceptrain_core.types import LossFunction, Metrics, Residuals, TBatch

#: Modules in which torch defines its criteria.
_CRITERIA = ("torch.nn.modules.loss", "torch.nn.functional")


class SupervisedLoss(nn.Module):
    """A criterion as a loss, ``criterion(model(inputs), labels)``; created by `supervised`.

    It is a module, so the parameters, buffers and state of the criterion are trained, moved and
    saved with it.
    """

    def __init__(self, criterion: Callable[..., Tensor]) -> None:
        super().__init__()
        self.criterion = criterion
        self._fit: Fit = fit_for(criterion)
        self._labels = takes_labels(criterion)
        self._pointwise = is_pointwise(criterion)

    @property
    def output_activation(self) -> OutputActivation | None:
        """What the outputs are to the criterion, see `output_activation`."""
        return output_activation(self.criterion)

    def forward(self, batch: TBatch, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the criterion.

        Args:
            batch: ``(inputs, labels)``; for a criterion without labels, the input of the model.
            model: Returns the arguments of the criterion: a tensor, or a tuple of tensors.

        Returns:
            The loss, and no metrics. For a dict of residuals and an elementwise criterion, the sum
            of the terms, and the terms by name.

        Raises:
            ShapeError: Outputs and labels differ in shape, so torch would broadcast.
            DataError: The batch, the outputs or the dtypes do not match.
            LossContractError: The criterion did not return a scalar.
        """
        if self._pointwise:
            pair = batch if isinstance(batch, Mapping) else split_batch(batch)  # no weights
            outputs, labels, _ = predict(pair, model)
            if isinstance(outputs, Mapping):
                return add_terms(self.criterion, outputs, labels, is_mean(self.criterion))
        else:
            inputs, labels = split_batch(batch) if self._labels else (batch, None)
            outputs = model(inputs)
        arguments = self._fit(outputs, labels)
        check_domain(self.criterion, arguments)
        loss = self._evaluate(arguments, outputs)
        if not isinstance(loss, Tensor) or loss.ndim:
            raise LossContractError(
                f"{_name(self.criterion)} returned {describe(loss)}; a loss must be a 0-dim "
                'tensor. Use reduction="mean" or "sum", or compute the mean in the criterion.'
            )
        return loss, counted(self.criterion, arguments)

    def residuals(self, batch: TBatch, model: nn.Module) -> Residuals:
        """Return the residuals of ``nn.MSELoss`` and ``F.mse_loss``, see `LeastSquaresLoss`.

        Raises:
            LossContractError: It is another criterion.
        """
        if not is_one_of(self.criterion, (nn.MSELoss, F.mse_loss)):
            raise LossContractError(no_squares(self.criterion))
        pair = batch if isinstance(batch, Mapping) else split_batch(batch)
        return squared_differences(pair, model, "mean" if is_mean(self.criterion) else "sum")

    def _evaluate(self, arguments: tuple[Any, ...], outputs: Any) -> Any:
        try:
            return self.criterion(*arguments)
        except IndexError as error:
            if "out of bounds" not in str(error) or len(arguments) != 2:
                raise
            raise out_of_range(error, *arguments) from error
        except TypeError as error:
            signature = _signature(self.criterion)
            if signature is None or _binds(signature, arguments):
                raise
            raise DataError(_cannot_take(self.criterion, signature, arguments, outputs)) from error

    def __repr__(self) -> str:
        name = _name(self.criterion)
        return f"supervised({self.criterion if isinstance(self.criterion, nn.Module) else name})"


def supervised(criterion: Callable[..., Tensor]) -> SupervisedLoss:
    """Wrap a criterion as a loss, ``criterion(model(inputs), labels)``.

    If the model returns a tuple, it is unpacked before the labels, such as ``(x1, x2), labels`` for
    ``nn.CosineEmbeddingLoss``. For ``nn.GaussianNLLLoss`` the model returns ``(mean, variance)``.
    For ``nn.CTCLoss`` it returns ``log_probs``, with labels ``(targets, input_lengths,
    target_lengths)``, or ``(log_probs, input_lengths)``, with labels ``(targets, target_lengths)``.
    ``nn.TripletMarginLoss`` uses no labels: the model gets the whole batch and returns
    ``(anchor, positive, negative)``.

    Args:
        criterion: An instance of a ``torch.nn`` criterion, another module, or a function such as
            ``F.mse_loss``, that returns a 0-dim tensor.

    Returns:
        A loss function ``(batch, model) -> (loss, {})``, which is a module.

    Raises:
        LossContractError: The criterion is a class, is not callable, or has
            ``reduction="none"``.
    """
    if inspect.isclass(criterion):
        raise LossContractError(_class_given(criterion))
    if not callable(criterion):
        raise LossContractError(
            f"supervised got {criterion!r}; expected a criterion to call as "
            "criterion(outputs, labels), such as nn.MSELoss() or F.mse_loss."
        )
    if getattr(criterion, "reduction", None) == "none":
        raise LossContractError(
            f'{_name(criterion)} has reduction="none", but a loss must be one number: use "mean" '
            'or "sum".'
        )
    return SupervisedLoss(criterion)


def as_loss(loss_fn: Any) -> LossFunction:
    """Return a loss with the contract ``loss_fn(batch, model) -> (loss, metrics)``.

    Args:
        loss_fn: A loss, which is returned unchanged; or a ``torch.nn`` criterion or its function,
            such as ``nn.MSELoss()`` or ``F.mse_loss``, which is wrapped by `supervised`. A subclass
            of a criterion that overrides ``forward`` counts as a loss.

    Returns:
        A loss function.

    Raises:
        LossContractError: It is not callable, is a class of ``torch.nn``, or has
            ``reduction="none"``.
    """
    plain = getattr(loss_fn, "_orig_mod", loss_fn)  # torch.compile wraps a criterion
    kind = plain if inspect.isclass(plain) else type(plain)
    code = getattr(kind, "forward", loss_fn)
    code = getattr(code, "func", code)  # functools.partial
    if getattr(code, "__module__", None) in _CRITERIA:
        return supervised(loss_fn)
    if callable(loss_fn):
        return loss_fn  # type: ignore[no-any-return]
    raise LossContractError(
        f"The loss is {loss_fn!r}; expected the name of a registered loss, a function "
        "loss_fn(batch, model) -> (loss, metrics), or a torch criterion such as nn.MSELoss()."
    )


def _name(criterion: object) -> str:
    return getattr(criterion, "__name__", type(criterion).__name__)


def _class_given(criterion: type) -> str:
    module = "nn." if criterion.__module__.startswith("torch.nn.") else ""
    name = f"{module}{criterion.__name__}"
    return f"The loss is the class {name}; pass {name}(), not {name}."


def _signature(criterion: Callable[..., Any]) -> inspect.Signature | None:
    try:
        target = criterion.forward if isinstance(criterion, nn.Module) else criterion
        return inspect.signature(target)
    except (TypeError, ValueError):  # written in C
        return None


def _binds(signature: inspect.Signature, arguments: tuple[Any, ...]) -> bool:
    try:
        signature.bind(*arguments)
    except TypeError:
        return False
    return True


def _cannot_take(
    criterion: object, signature: inspect.Signature, arguments: tuple[Any, ...], outputs: object
) -> str:
    takes = ", ".join(signature.parameters)
    message = (
        f"{_name(criterion)} takes ({takes}), and got {len(arguments)} arguments: the model "
        f"returned {describe(outputs)}, followed by the labels. "
    )
    if isinstance(outputs, Mapping):
        return message + f"The losses that work on residuals are {RESIDUAL_LOSSES}."
    return message + "Make the model return the tensors that come before the labels."
