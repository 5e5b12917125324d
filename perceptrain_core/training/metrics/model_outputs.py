"""What the model returned while a loss was evaluated, without another forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from perceptrain_core.errors import DataError
from perceptrain_core.losses.support.batches import LABEL_NAMES, split_weighted
from perceptrain_core.types import LossFunction, StepResult


def call_and_watch(
    loss_fn: LossFunction, batch: Any, model: nn.Module
) -> tuple[StepResult, Any, Any, Any]:
    """Evaluate a loss, and return its result with the model's output, the labels and the weights.

    Args:
        loss_fn: The loss.
        batch: ``(inputs, labels)`` or ``(inputs, labels, weights)``, or a mapping with one key such
            as ``"label"`` or ``"y"``.
        model: The model. If a loss calls it several times, the first call with the batch's
            inputs counts.

    Returns:
        The result of the loss; what the model returned for the inputs of the batch, detached;
        the labels, and the sample weights or None.

    Raises:
        DataError: The batch has no labels, or it is unclear which output belongs to it.
    """
    inputs, labels, weights = _split(batch)
    calls: list[tuple[bool, Any]] = []

    def record(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        own = len(arguments) == 1 and any(arguments[0] is part for part in inputs)
        calls.append((own, output))

    with model.register_forward_hook(record):
        result = loss_fn(batch, model)
    return result, _detached(_output(calls)), labels, weights


def _split(batch: Any) -> tuple[list[Any], Any, Any]:
    """Return the possible inputs of the model, the labels and the sample weights."""
    if isinstance(batch, Mapping):
        labels = [name for name in batch if name in LABEL_NAMES]
        if len(labels) == 1:
            return [batch, *batch.values()], batch[labels[0]], None
    try:
        inputs, targets, weights = split_weighted(batch)
    except DataError as error:
        raise DataError(
            f"Metrics compare the model's output with labels. {error} A dict needs one key of "
            f"{', '.join(LABEL_NAMES)}. To train without labels, leave metrics out."
        ) from None
    return [inputs], targets, weights


def _output(calls: list[tuple[bool, Any]]) -> Any:
    # Further calls with the same inputs return the same in evaluation mode.
    found = [output for own, output in calls if own][:1] or [output for _, output in calls]
    if len(found) == 1:
        return found[0]
    how = f"called it {len(found)} times with others" if found else "did not call it"
    raise DataError(
        f"Metrics need what the model returned for the inputs of a batch, and the loss {how}. "
        "Expected a call model(inputs). If the loss needs other inputs, compute the metric in the "
        "loss, and return it with its metrics."
    )


def _detached(output: Any) -> Any:
    if isinstance(output, Tensor):
        return output.detach()
    if isinstance(output, Mapping):
        return {name: _detached(value) for name, value in output.items()}
    if isinstance(output, tuple | list):
        return [_detached(value) for value in output]
    return output
