"""The metrics of a run, one row per epoch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, SupportsIndex, overload

from perceptrain_core.analysis.curves import draw_curves
from perceptrain_core.analysis.html_table import html_table
from perceptrain_core.errors import DataError, MissingDependencyError
from perceptrain_core.metrics_file import Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

_SHOWN = 4  # figures in a line


class History(list[Row]):
    """The metrics of each epoch: a list of dicts of floats, starting with epoch 1.

    A row has ``train_loss``, ``train_NAME`` for each metric, and in epochs with a validation
    ``val_loss`` and ``val_NAME``. Its ``repr`` is one line, and notebooks show a table; slices are
    plain lists, so ``history[:]`` prints every row.
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
            DataError: The history is empty, or the file cannot be written.
            MissingDependencyError: matplotlib is not installed.
        """
        figure = draw_curves(self)
        if path is not None:
            try:
                figure.savefig(path, dpi=120)
            except (OSError, ValueError) as error:
                raise DataError(
                    f"The picture cannot be written to {path}: {error}. Expected a file such as "
                    "curves.png or curves.svg, in a folder that exists."
                ) from error
        return figure

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Row: ...

    @overload
    def __getitem__(self, index: slice, /) -> list[Row]: ...

    def __getitem__(self, index: SupportsIndex | slice, /) -> Row | list[Row]:
        """Return the row of an epoch, counted from 0, or a plain list of rows."""
        if isinstance(index, str):
            raise DataError(
                f"The history is a list with a row for each epoch: write history[-1][{index!r}], "
                f"or history.to_dataframe()[{index!r}] for all epochs."
            )
        return super().__getitem__(index)

    def __repr__(self) -> str:
        """Return the history in a line, with the last figures."""
        return f"History({self.summary()})"

    def summary(self) -> str:
        """Return the number of epochs and the last figures: ``"10 epochs, train_loss 0.25"``."""
        epochs = f"{len(self)} {'epoch' if len(self) == 1 else 'epochs'}"
        return f"{epochs}, {figures_in_line(self[-1])}" if self else epochs

    def _repr_html_(self) -> str:
        """Display as a table in a notebook."""
        return html_table(self, "epoch")


def figures_in_line(row: Mapping[str, float]) -> str:
    """Return the figures of a row in a line, as in ``"train_loss 0.25, val_loss 0.5"``.

    Losses come first, and of many figures only four are shown.
    """
    names = sorted(row, key=lambda name: not name.endswith("_loss"))
    shown = [f"{name} {row[name]:.4g}" for name in names[:_SHOWN]]
    return ", ".join([*shown, *(["..."] if len(names) > _SHOWN else [])])
