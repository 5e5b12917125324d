"""A picture of the curves of a run: the losses, and the other metrics beside them."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perceptrain_core.errors import DataError, MissingDependencyError

Row = dict[str, float]


def plot_run(folder: Path) -> Path:
    """Draw the curves of a run folder as ``curves.png`` in it.

    Args:
        folder: A folder with a ``metrics.csv``.

    Returns:
        The picture's path.

    Raises:
        DataError: There are no metrics in the folder.
        MissingDependencyError: matplotlib is not installed.
    """
    history = read_metrics(folder / "metrics.csv")
    if not history:
        raise DataError(f"{folder / 'metrics.csv'} has no row yet: nothing to draw.")
    return plot_curves(history, folder / "curves.png")


def plot_curves(history: Sequence[Row], path: Path) -> Path:
    """Draw the metrics of each epoch, and save the picture.

    Args:
        history: A row an epoch, with ``train_NAME``, ``val_NAME``; a metric may be missing in
            some rows. A row may say its ``epoch``; otherwise they count from 1.
        path: Where to; its ending chooses the format.

    Returns:
        The path.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            'Pictures need matplotlib: pip install "perceptrain-core[plot]".'
        ) from error
    panels = _panels(history)
    figure = Figure(figsize=(5.2 * len(panels), 3.8), layout="constrained")
    for number, (title, names) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(1, len(panels), number)
        _draw(axes, title, names, history)
    figure.savefig(path, dpi=120)
    return path


def read_metrics(path: Path) -> list[Row]:
    """Read a ``metrics.csv`` back as a history, with the ``epoch`` of each row.

    Raises:
        DataError: There is no such file, or it is something else.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [{name: float(value) for name, value in row.items() if value} for row in rows]
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"There is no {path}: expected the folder of a run.") from None
    except (ValueError, TypeError, csv.Error) as error:
        raise DataError(f"{path} holds something else than metrics: {error}.") from None


def _panels(history: Sequence[Row]) -> dict[str, list[str]]:
    """Group the names: what is alike in one picture."""
    names = dict.fromkeys(name for row in history for name in row if name != "epoch")
    panels: dict[str, list[str]] = {"loss": [], "accuracy": [], "metrics": [], "weights": []}
    for name in names:
        panels[_panel(name)].append(name)
    return {title: names for title, names in panels.items() if names}


def _panel(name: str) -> str:
    metric = name.partition("_")[2]
    if metric.startswith("weight_"):
        return "weights"
    return metric if metric in ("loss", "accuracy") else "metrics"


def _draw(axes: Any, title: str, names: list[str], history: Sequence[Row]) -> None:
    values = []
    for name in names:
        points = [
            (row.get("epoch", i), row[name]) for i, row in enumerate(history, 1) if name in row
        ]
        marker = "o" if len(points) == 1 else None
        axes.plot(*zip(*points, strict=True), label=name, marker=marker, linewidth=1.4)
        values += [value for _, value in points if math.isfinite(value)]
    if title != "accuracy" and values and min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale("log")
    axes.set(xlabel="epoch", title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
