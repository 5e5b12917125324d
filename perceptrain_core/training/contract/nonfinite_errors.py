"""The words for a loss that is NaN or infinite: what it was, where, and why."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import NonFiniteLossError
from perceptrain_core.models.parameters import largest_parameter, nonfinite_parameter
from perceptrain_core.types import Counted, Metrics
from perceptrain_core.user_warnings import warn_user


def find_nonfinite(loss: Tensor, metrics: dict[str, Any]) -> str:
    """Describe what is NaN or infinite: the terms, if the metrics show them, and the loss."""
    scalars = {name: torch.as_tensor(value) for name, value in metrics.items()}
    bad = [f"{name!r} is {v.item()}" for name, v in scalars.items() if not v.isfinite().all()]
    reason = ""
    if nothing_counts(metrics):
        reason = ", because no label of the batch counts: all are ignored or masked"
    terms = f" (term {', '.join(bad)})" if bad else ""
    return f"the loss is {loss.item()}{terms}{reason}"


def nothing_counts(metrics: dict[str, Any]) -> bool:
    """Whether the loss of a batch is a mean over nothing."""
    count = metrics.count if isinstance(metrics, Counted) else None
    if isinstance(count, Mapping):
        count = count.get("loss")
    return count is not None and float(count) == 0


class FirstNonFinite:
    """Find the first loss of an evaluation that is NaN or infinite.

    A batch in which nothing counts is the last resort: it does not change the mean. On a GPU losses
    are read 64 at a time.
    """

    def __init__(self) -> None:
        self._batches = 0
        self._recent: list[tuple[int, Tensor, Metrics]] = []
        self._found: str | None = None
        self._nothing: str | None = None

    def add(self, loss: Tensor, metrics: Metrics) -> None:
        """Look at the detached loss and metrics of the next batch."""
        self._batches += 1
        if self._found is None:
            self._recent.append((self._batches, loss, metrics))
            if loss.device.type == "cpu" or len(self._recent) == 64:
                self.find()

    def find(self) -> str | None:
        """Describe the first loss that is not finite, and name its batch; ``None`` if all are."""
        for number, loss, metrics in self._recent:
            if self._found is None and not isfinite(loss.item()):
                what = f"in batch {number} {find_nonfinite(loss, metrics)}"
                if nothing_counts(metrics):
                    self._nothing = self._nothing or what
                else:
                    self._found = what
        self._recent = []
        return self._found or self._nothing


def nonfinite_error(what: str, where: str, model: nn.Module) -> NonFiniteLossError:
    """Return the error that stops a run.

    Args:
        what: From `find_nonfinite`.
        where: The position in the run.
        model: Searched for parameters that are not finite.
    """
    return NonFiniteLossError(
        f"Training stopped {where}: {what}. "
        + (
            _describe_cause(model)
            or "The parameters are as they were before this batch. Check the data and the "
            'learning rate; on_nonfinite="skip" skips such batches.'
        )
    )


def report_skipped(skipped: int, batches: int, epoch: int, model: nn.Module) -> None:
    """Report how many batches of an epoch were skipped, and whether the model is the reason.

    Raises:
        NonFiniteLossError: All of them were.

    Warns:
        UserWarning: Some were.
    """
    ruined = _describe_cause(model)
    if skipped == batches:
        raise NonFiniteLossError(
            f"All {batches} batches of epoch {epoch} were skipped: the loss or its gradient was "
            "NaN or infinite, or the loss raised SkipBatch. "
            + (ruined or "Check the data, or lower the learning rate.")
        )
    warn_user(
        f"Epoch {epoch}: {skipped} of {batches} batches were skipped: they had a loss or "
        f"gradient that was NaN or infinite, or the loss raised SkipBatch. {ruined}".rstrip()
    )


#: Parameters beyond this are a sign of divergence; trained ones are rarely above 1000.
_HUGE = 1e6


def _describe_cause(model: nn.Module) -> str:
    """Name a parameter that is huge or not finite, and the likely cause; empty if there is none."""
    name, size = largest_parameter(model)
    if size > _HUGE:
        return (
            f"The parameters have grown to {size:.3g} ({name!r}): the learning rate is probably "
            "too high. Lower it, or limit the gradients with grad_clip."
        )
    ruined = nonfinite_parameter(model)
    if ruined is None:
        return ""
    return (
        f"The parameters are not finite themselves ({ruined!r}): an earlier step had a finite loss "
        "whose gradient was not finite, as for a root or a norm at 0."
    )
