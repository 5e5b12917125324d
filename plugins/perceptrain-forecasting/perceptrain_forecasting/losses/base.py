"""The base class of the losses: a score for each label or row, and its mean."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from perceptrain import Counted
from perceptrain.errors import DataError
from perceptrain_forecasting.checks import check_labels


class ForecastLoss(nn.Module):
    """A scoring rule as a loss, ``(batch, model) -> (loss, metrics)``: lower is better.

    The batch is ``(inputs, labels)``, with labels of shape ``(N,)`` or ``(N, D)``. A subclass
    implements `scores`. Scores are computed in float32 or better. The values of the labels are
    checked on every batch on the CPU, on other devices only on the first one.

    Raises:
        ShapeError: The outputs of the model do not have the shape that the loss documents.
        DataError: The batch has another form, or a label is NaN.
    """

    def forward(self, batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the mean score of a batch, and no metrics but their count."""
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            raise DataError(f"The batch is {batch!r:.80}; expected (inputs, labels), a pair.")
        outputs = model(batch[0])
        labels = check_labels(batch[1], self.positive)
        scores = self.scores(outputs, labels)
        return scores.mean(), Counted({}, scores.numel())

    @property
    def positive(self) -> bool:
        """Whether labels must be above 0."""
        return False

    def scores(self, outputs: Any, labels: Tensor) -> Tensor:
        """Return the score of each label, of shape ``(N,)`` or ``(N, D)``, or of each row.

        Args:
            outputs: What the model returned.
            labels: Shape ``(N,)`` or ``(N, D)``, float32 or float64.
        """
        raise NotImplementedError
