"""The metrics of a run, one row per epoch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from perceptrain_core.analysis.curves import draw_curves
from perceptrain_core.errors import MissingDependencyError
from perceptrain_core.metrics_file import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class History(list[Row]):
    """The metrics of each epoch: a list of dicts of floats, starting with epoch 1.

    A row has ``train_loss``, ``train_NAME`` for each metric, and in epochs with a validation
    ``val_loss`` and ``val_NAME``. Slices are plain lists.
    """

    def to_dataframe(self) -> DataFrame:
        """Return a table with a row for each epoch and a column for each metric.

        Returns:
            A pandas ``DataFrame`` of float64, indexed by ``epoch`` from 1. Metrics that an epoch
            does not have are NaN.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingDependencyError(
                'to_dataframe() needs pandas: pip install "perceptrain-core[pandas]".'
            ) from error
        epochs = pd.RangeIndex(1, len(self) + 1, name="epoch")
        return pd.DataFrame(list(self), index=epochs, dtype="float64")

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the losses in one panel, and the other metrics in further panels.

        Validation curves are dashed. An axis is logarithmic if its values span more than a factor
        of 10.

        Args:
            path: If set, also save the figure to this file; the suffix selects the format.

        Returns:
            A matplotlib figure, independent of pyplot; notebooks display it.

        Raises:
            DataError: The history is empty.
            MissingDependencyError: matplotlib is not installed.
        """
        figure = draw_curves(self)
        if path is not None:
            figure.savefig(path, dpi=120)
        return figure

    def _repr_html_(self) -> str | None:
        """Display as a table in a notebook if pandas is installed."""
        if find_spec("pandas") is None:
            return None
        html: str = self.to_dataframe()._repr_html_()
        return html
