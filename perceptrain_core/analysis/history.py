"""What a run has reached, epoch by epoch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from perceptrain_core.analysis.curves import Row, draw_curves
from perceptrain_core.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


class History(list[Row]):
    """The metrics of each epoch: a list of dicts of floats, the first of them for epoch 1.

    A row has ``train_loss``, ``train_NAME`` for each metric, and ``val_...`` in epochs with a
    validation. It is a list in every way; a slice of it is a plain one.
    """

    def to_dataframe(self) -> DataFrame:
        """Give a table with a row for each epoch and a column for each metric.

        Returns:
            A pandas ``DataFrame`` of float64, indexed by ``epoch`` from 1; NaN where an epoch
            does not have the metric.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise MissingDependencyError(
                'A table of the history needs pandas: pip install "perceptrain-core[pandas]".'
            ) from error
        epochs = pd.RangeIndex(1, len(self) + 1, name="epoch")
        return pd.DataFrame(list(self), index=epochs, dtype="float64")

    def plot(self, path: str | Path | None = None) -> Figure:
        """Draw the losses in one panel, and the other metrics in panels beside it.

        Validations are dashed. An axis is logarithmic where its values span more than a factor
        of 10.

        Args:
            path: Save the picture there, too; the ending chooses the format.

        Returns:
            A matplotlib figure, which a notebook shows; pyplot does not know of it.

        Raises:
            DataError: There is no epoch yet.
            MissingDependencyError: matplotlib is not installed.
        """
        figure = draw_curves(self)
        if path is not None:
            figure.savefig(path, dpi=120)
        return figure

    def _repr_html_(self) -> str | None:
        """Be a table in a notebook, where pandas is there to make one."""
        if find_spec("pandas") is None:
            return None
        html: str = self.to_dataframe()._repr_html_()
        return html
