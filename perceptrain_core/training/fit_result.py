"""What a fit returns: the model and the optimizer, with a short text for a REPL or a notebook."""

from __future__ import annotations

from html import escape
from typing import Any, Self

from torch import nn

from perceptrain_core.analysis.history import History


class FitResult(tuple[nn.Module, Any]):
    """The pair ``(model, optimizer)``, which prints in one line.

    It unpacks and compares as the tuple that it is.

    Attributes:
        history: The metrics of the fit, of which ``repr`` shows the last and notebooks a table.
    """

    history: History

    def __new__(cls, model: nn.Module, optimizer: Any, history: History) -> Self:
        """Create the pair.

        Args:
            model: The model that was trained.
            optimizer: The optimizer that was passed.
            history: The metrics of the fit.
        """
        pair = super().__new__(cls, (model, optimizer))
        pair.history = history
        return pair

    def __getnewargs__(self) -> tuple[nn.Module, Any, History]:
        """Return what a copy or a pickle is created from."""
        return self.model, self.optimizer, self.history

    @property
    def model(self) -> nn.Module:
        """The model that was trained."""
        model, _ = self
        return model

    @property
    def optimizer(self) -> Any:
        """The optimizer that was passed."""
        _, optimizer = self
        return optimizer

    def __repr__(self) -> str:
        """Return the result in a line."""
        parts = type(self.model).__name__, type(self.optimizer).__name__
        return f"FitResult({', '.join(parts)}, {self.history.summary()})"

    def _repr_html_(self) -> str:
        """Display the line and the history in a notebook."""
        return f"<p>{escape(repr(self))}</p>\n{self.history._repr_html_()}"
