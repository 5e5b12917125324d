"""The base class of the losses: a batch in, a likelihood out, and curves from outputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from perceptrain import Counted, check_choice
from perceptrain.errors import ConfigError, DataError, ShapeError
from perceptrain_survival.curves.breslow import BreslowBaseline
from perceptrain_survival.labels import SurvivalLabels, describe, split_batch


class SurvivalLoss(nn.Module, ABC):
    """The negative logarithm of a likelihood of censored times.

    It is computed in the dtype of the model's outputs, half precision in float32.

    Args:
        reduction: "mean" or "sum".

    Raises:
        ConfigError: ``reduction`` is unknown.
    """

    #: In a run file, ``scale_labels`` would change events and times.
    unscaled_labels: ClassVar[bool] = True
    #: The name of the loss, and what the outputs of the model are, for messages.
    name: ClassVar[str]
    meaning: ClassVar[str]
    #: The possible numbers of outputs for each row.
    widths: tuple[int, ...]

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        check_choice("reduction", reduction, ("mean", "sum"))
        self.reduction = reduction

    def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, Counted]:
        """Evaluate the loss.

        Args:
            batch: ``(inputs, labels)`` with labels of shape ``(N, 2)``, the columns event and time,
                or ``(N, 3)`` with a stratum; ``(inputs, event, time)``; or a dict with "inputs",
                "event", "time" and, optionally, "strata". Events are booleans, or 0 and 1; times
                are finite and at least 0.
            model: Returns the outputs that `columns` describes.

        Returns:
            The loss, 0-dim, and no metrics.

        Raises:
            DataError: The batch has no rows; or it, the outputs, an event or a time is invalid.
            ShapeError: The shapes of outputs and labels do not match.
        """
        inputs, labels = split_batch(batch)
        outputs = self.columns(model(inputs))
        if len(outputs) != len(labels):
            raise ShapeError(
                f"The model returned {len(outputs)} rows for {len(labels)} rows of labels; "
                "expected as many."
            )
        if not len(labels):
            raise DataError(
                "The batch has no rows, and their mean is undefined. Leave empty batches out."
            )
        terms, count = self.terms(outputs, labels)
        if self.reduction == "sum":
            return terms.sum(), Counted({}, None)
        return terms.sum() / torch.as_tensor(count).clamp(min=1), Counted({}, count)

    def point_prediction(self, outputs: Any, labels: Any) -> Tensor:
        """Refuse: events and times are not predicted themselves.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"With the loss {self.name}, the model returns {self.meaning}, and predicts neither "
            "event nor time: remove the metric, or use one of survival analysis, such as "
            "concordance_index or integrated_brier_score."
        )

    def columns(self, outputs: Any) -> Tensor:
        """Check the model's outputs.

        Args:
            outputs: Floats of shape ``(N, width)``, or ``(N,)`` if the width is 1.

        Returns:
            The outputs of shape ``(N, width)``, float32 or float64.

        Raises:
            DataError: They are not a tensor of floats.
            ShapeError: They have another shape.
        """
        if not isinstance(outputs, Tensor) or not outputs.is_floating_point():
            raise DataError(f"The model returned {describe(outputs)}; expected a tensor of floats.")
        columns = outputs.unsqueeze(1) if outputs.ndim == 1 else outputs
        if columns.ndim != 2 or columns.shape[1] not in self.widths:
            widths = " or ".join(f"(N, {width})" for width in self.widths)
            raise ShapeError(
                f"The model returned {tuple(outputs.shape)}; {self.name} expects {widths}: "
                f"{self.meaning}."
            )
        return columns.to(torch.promote_types(columns.dtype, torch.float32))

    @abstractmethod
    def terms(self, outputs: Tensor, labels: SurvivalLabels) -> tuple[Tensor, int | Tensor]:
        """Return the terms of the loss, shape ``(N,)``, and what their mean is over.

        Args:
            outputs: Shape ``(N, width)``.
            labels: Events and times.
        """

    @abstractmethod
    def score(self, outputs: Tensor) -> Tensor:
        """Return a score of each row, shape ``(N,)``: the higher, the sooner the event.

        Args:
            outputs: Shape ``(N, width)``, as `columns` returns them.
        """

    @abstractmethod
    def survival(
        self, outputs: Tensor, times: Tensor, baseline: BreslowBaseline | None = None
    ) -> Tensor:
        """Return the probability that the event comes after each time, shape ``(N, T)``.

        Args:
            outputs: Shape ``(N, width)``, as `columns` returns them.
            times: Shape ``(T,)``.
            baseline: The baseline of Cox's model; other losses ignore it.
        """
