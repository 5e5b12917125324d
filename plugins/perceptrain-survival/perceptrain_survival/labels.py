"""Events and times: from a batch, or as two columns of labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from perceptrain import values_are_checked
from perceptrain.errors import DataError, ShapeError

_EXPECTED = (
    "expected (inputs, labels) with labels of shape (N, 2), the columns event and time; "
    '(inputs, event, time); or a dict with "inputs", "event", "time" and, optionally, "strata".'
)


@dataclass(frozen=True)
class SurvivalLabels:
    """What is known of each row: when it was last observed, and whether the event happened then.

    Attributes:
        event: True if the event happened, False if the row is censored; shape ``(N,)``, bool.
        time: The time of the event or of the censoring, shape ``(N,)``, float32 or float64.
        strata: The stratum of each row, shape ``(N,)``, int64; ``None`` if there is only one.
    """

    event: Tensor
    time: Tensor
    strata: Tensor | None = None

    @classmethod
    def of(cls, event: Any, time: Any, strata: Any = None) -> SurvivalLabels:
        """Check events and times.

        Args:
            event: Booleans, or 0 and 1 in any dtype, shape ``(N,)`` or ``(N, 1)``.
            time: Real numbers of at least 0, of the same shape.
            strata: Numbers of strata, of the same shape.

        Raises:
            DataError: One is not a tensor, or has invalid values. Values are checked in every batch
                on the CPU, and in the first batch on a GPU.
            ShapeError: The shapes do not match.
        """
        parts = {"event": event, "time": time} | ({} if strata is None else {"strata": strata})
        columns = {name: _column(name, value) for name, value in parts.items()}
        event, time, *others = columns.values()
        if len({len(column) for column in columns.values()}) > 1:
            given = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
            raise ShapeError(f"The numbers of rows differ: {given}; expected a value for each row.")
        if values_are_checked(event):
            _check_events(event)
            _check_times(time)
        time = time if time.dtype in (torch.float32, torch.float64) else time.float()
        return cls(event > 0, time, others[0].long() if others else None)

    @classmethod
    def of_columns(cls, labels: Any) -> SurvivalLabels:
        """Check labels of shape ``(N, 2)`` or ``(N, 3)``: event, time and, optionally, stratum.

        Raises:
            DataError: The labels are not a tensor, or have invalid values.
            ShapeError: They have another shape.
        """
        if not isinstance(labels, Tensor):
            raise DataError(f"The labels are {describe(labels)}; {_EXPECTED}")
        if labels.ndim != 2 or labels.shape[1] not in (2, 3):
            raise ShapeError(
                f"The labels have shape {tuple(labels.shape)}; expected (N, 2), the columns event "
                "and time, or (N, 3) with the number of a stratum. In a run file: labels = "
                '["event", "time"], the names of the columns in this order. In Python: '
                "survival_labels(event, time)."
            )
        return cls.of(*labels.unbind(1))

    def __len__(self) -> int:
        return len(self.time)


def survival_labels(event: Any, time: Any) -> Tensor:
    """Join events and times to labels of shape ``(N, 2)``, as losses and metrics expect them.

    Args:
        event: Booleans, or 0 and 1, shape ``(N,)`` or ``(N, 1)``; a tensor, an array or a list.
        time: The time of the event or of the censoring, at least 0, of the same shape.

    Returns:
        The columns event and time, float32, or float64 if ``time`` is.

    Raises:
        DataError: The values are invalid.
        ShapeError: The shapes do not match.
    """
    known = SurvivalLabels.of(torch.as_tensor(event), torch.as_tensor(time))
    return torch.stack([known.event.to(known.time.dtype), known.time], 1)


def split_batch(batch: Any) -> tuple[Any, SurvivalLabels]:
    """Split a batch into the inputs of the model and the labels.

    Args:
        batch: ``(inputs, labels)`` with labels of shape ``(N, 2)``, event and time, or ``(N, 3)``
            with a stratum; ``(inputs, event, time)``; or a dict with "inputs", "event", "time" and,
            optionally, "strata".

    Raises:
        DataError: The batch has another form, or invalid values.
        ShapeError: The shapes do not match.
    """
    if isinstance(batch, Mapping):
        if batch.keys() - {"strata"} != {"inputs", "event", "time"}:
            raise DataError(f"The batch is {describe(batch)}; {_EXPECTED}")
        labels = SurvivalLabels.of(batch["event"], batch["time"], batch.get("strata"))
        return batch["inputs"], labels
    if isinstance(batch, tuple | list) and len(batch) == 2:
        return batch[0], SurvivalLabels.of_columns(batch[1])
    if isinstance(batch, tuple | list) and len(batch) == 3:
        if isinstance(batch[1], Tensor) and batch[1].ndim == 2 and batch[1].shape[1] > 1:
            raise DataError(
                f"The batch is {describe(batch)}, (inputs, labels, weights): the losses of "
                "survival analysis have no sample weights. Leave weights out."
            )
        return batch[0], SurvivalLabels.of(batch[1], batch[2])
    raise DataError(f"The batch is {describe(batch)}; {_EXPECTED}")


def describe(value: object) -> str:
    """Describe ``value`` briefly, for an error message."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} and dtype {value.dtype}"
    if isinstance(value, Mapping):
        return f"a dict with the keys {', '.join(map(repr, value))}" if value else "an empty dict"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"an object of type {type(value).__name__}"


def _column(name: str, value: Any) -> Tensor:
    if not isinstance(value, Tensor) or value.is_complex():
        raise DataError(f"{name!r} is {describe(value)}; expected a real tensor of shape (N,).")
    column = value.squeeze(1) if value.ndim == 2 else value
    if column.ndim != 1:
        raise ShapeError(f"{name!r} has shape {tuple(value.shape)}; expected (N,) or (N, 1).")
    return column


def _check_events(event: Tensor) -> None:
    if event.dtype is torch.bool or not len(event):
        return
    wrong = (event != 0) & (event != 1)
    if bool(wrong.any()):
        raise DataError(
            f"An event is {event[wrong][0].item():g}; expected 1 if the event happened, and 0 if "
            "the row is censored, or booleans. The event comes before the time, in "
            '(inputs, event, time) and in labels = ["event", "time"]. Labels must not be scaled: '
            "leave scale_labels out."
        )


def _check_times(time: Tensor) -> None:
    wrong = ~(time.isfinite() & (time >= 0))
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        raise DataError(
            f"The time of row {row} is {time[row].item():g}; expected a finite number of at least "
            "0, the time from the start of observation to the event or the censoring. Leave such "
            "rows out."
        )
