"""Plot the training curves of a run: losses and other metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, isfinite, sqrt
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from perceptrain_core.errors import DataError, MissingDependencyError
from perceptrain_core.metrics_file import METRICS, Row, read_rows

if TYPE_CHECKING:
    from perceptrain_core.analysis.picture import Picture

Arrangement: TypeAlias = Mapping[str, Sequence[str]]
Point: TypeAlias = tuple[float, float]

_MAX_POINTS = 1000  # per curve; more would not be visible


def plot_run(folder: Path) -> Path:
    """Draw the curves of a run folder as ``curves.png`` in it.

    Args:
        folder: A folder with a ``metrics.csv``.

    Returns:
        The path of the picture.

    Raises:
        DataError: The folder has no metrics.
        MissingDependencyError: matplotlib is not installed.
    """
    path = folder / METRICS
    history = read_rows(path)
    if not path.exists():
        raise DataError(f"There is no {path}: expected the folder of a run.")
    if not history:
        raise DataError(f"{path} has no rows yet, so there is nothing to draw.")
    return plot_curves(history, folder / "curves.png")


def plot_curves(history: Sequence[Row], path: Path) -> Path:
    """Draw the metrics of each epoch, and save the figure.

    Args:
        history: See `draw_curves`.
        path: The file; its suffix selects the format.

    Returns:
        The path.

    Raises:
        DataError: The history is empty.
        MissingDependencyError: matplotlib is not installed.
    """
    draw_curves(history).savefig(path, dpi=120)
    return path


def draw_curves(history: Sequence[Row], arrange: Arrangement | None = None) -> Picture:
    """Draw the metrics of each epoch.

    Args:
        history: A row per epoch, with ``train_NAME`` and ``val_NAME``; a metric may be missing in
            some rows. Rows may have an ``epoch``; otherwise epochs count from 1.
        arrange: The metrics of each panel, by its title; names that no row has are ignored. By
            default there is one panel each for losses, accuracies, weights and other metrics.

    Returns:
        The figure.

    Raises:
        DataError: The history is empty.
        MissingDependencyError: matplotlib is not installed.
    """
    require_matplotlib()
    from perceptrain_core.analysis.picture import Picture

    if not history:
        raise DataError("The history has no epochs yet, so there is nothing to draw.")
    names = metric_names(history)
    panels = _panels(names) if arrange is None else _panels_of(arrange, names)
    columns = len(panels) if len(panels) <= 3 else ceil(sqrt(len(panels)))
    rows = ceil(len(panels) / columns) if columns else 1
    figure = Picture(figsize=(5.2 * max(columns, 1), 3.8 * rows), layout="constrained")
    for number, (title, shown) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(rows, columns, number)
        _draw(axes, title, shown, history)
    return figure


def require_matplotlib() -> None:
    """Raise if matplotlib is not installed.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            'Pictures need matplotlib: pip install "perceptrain-core[plot]".'
        ) from error


def metric_names(history: Sequence[Row]) -> list[str]:
    """Return the names of all metrics, in order of appearance."""
    return list(dict.fromkeys(name for row in history for name in row if name != "epoch"))


def _panels(names: Sequence[str]) -> dict[str, list[str]]:
    """Group metrics of the same kind into panels."""
    panels: dict[str, list[str]] = {"loss": [], "accuracy": [], "metrics": [], "weights": []}
    for name in names:
        panels[_panel(name)].append(name)
    return {title: names for title, names in panels.items() if names}


def _panels_of(arrange: Arrangement, available: Sequence[str]) -> dict[str, list[str]]:
    panels = {title: [n for n in names if n in available] for title, names in arrange.items()}
    return {title: names for title, names in panels.items() if names}


def _panel(name: str) -> str:
    metric = name.partition("_")[2]
    if metric.startswith("weight_"):
        return "weights"
    return metric if metric in ("loss", "accuracy") else "metrics"


def _draw(axes: Any, title: str, names: list[str], history: Sequence[Row]) -> None:
    values: list[float] = []
    metrics = [name.partition("_")[2] for name in names]
    # With several metrics, the training and validation curves of a metric share its color.
    hues = list(dict.fromkeys(names if len(set(metrics)) == 1 else metrics))
    for name, metric in zip(names, metrics, strict=True):
        points = [
            (row.get("epoch", i), row[name]) for i, row in enumerate(history, 1) if name in row
        ]
        color = f"C{hues.index(name if name in hues else metric) % 10}"
        style = "--" if name.startswith("val_") else "-"
        marker = "o" if len(points) == 1 else None
        x, y = zip(*_thinned(points), strict=True)
        axes.plot(x, y, style, color=color, label=name, marker=marker, linewidth=1.4)
        values += [value for value in y if isfinite(value)]
    if "accuracy" not in title and values and min(values) > 0 and max(values) > 10 * min(values):
        axes.set_yscale("log")
    axes.set(xlabel="epoch", title=title)
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=6, min_n_ticks=1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", framealpha=0.7, edgecolor="none")


def _thinned(points: list[Point]) -> list[Point]:
    """Keep the lowest and highest point of each interval if there are too many points."""
    size = 2 * ceil(len(points) / _MAX_POINTS)
    if len(points) <= _MAX_POINTS:
        return points
    intervals = (points[start : start + size] for start in range(0, len(points), size))
    kept: list[Point] = []
    for interval in intervals:
        kept += sorted({min(interval, key=itemgetter(1)), max(interval, key=itemgetter(1))})
    return kept
