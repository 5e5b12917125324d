"""One picture of a comparison: the final figures, and the curves of each variant."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

from perceptrain_core.analysis.curves import require_matplotlib
from perceptrain_core.comparisons.results import Result, Row
from perceptrain_core.errors import DataError
from perceptrain_core.metrics_file import METRICS, read_rows

PICTURE = "compare.png"
_MOST_BARS, _MOST_CURVES, _LONGEST = 20, 6, 34


def draw_comparison(
    folder: Path, rows: Sequence[Row], results: Sequence[Result], by: str, higher: bool
) -> Path | None:
    """Draw ``compare.png`` in the folder of a comparison.

    On the left the figure of each variant: a point for each run, and the mean with the standard
    deviation. On the right its mean after each epoch, for the best variants.

    Args:
        folder: The folder.
        rows: The variants, the best first.
        results: The runs.
        by: The figure, without ``val_``.
        higher: Whether a higher value is better.

    Returns:
        The path; ``None`` if no run has the figure.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require_matplotlib()
    from perceptrain_core.analysis.picture import Picture

    name = f"val_{by}"
    shown = [row for row in rows if isfinite(row.mean.get(name, float("nan")))][:_MOST_BARS]
    if not shown:
        return None
    better = "higher" if higher else "lower"
    figure = Picture(figsize=(11, max(3.8, 1.4 + 0.32 * len(shown))), layout="constrained")
    values, curves = figure.subplots(1, 2)
    _draw_values(values, shown, results, name)
    values.set(xlabel=f"{name} ({better} is better)", title="After training")
    _draw_curves(curves, shown[:_MOST_CURVES], folder, results, name)
    curves.set(xlabel="epoch", ylabel=name, title="During training")
    figure.savefig(folder / PICTURE, dpi=120)
    return folder / PICTURE


def _draw_values(axes: Any, rows: Sequence[Row], results: Sequence[Result], name: str) -> None:
    for place, row in enumerate(rows):
        color = f"C{place % 10}"
        own = [r.figures[name] for r in _of(row, results) if name in r.figures]
        if len(own) > 1:
            axes.plot(own, [place] * len(own), "o", color=color, alpha=0.35, markersize=5)
        axes.errorbar(
            row.mean[name], place, xerr=row.std.get(name), fmt="D", color=color, capsize=4
        )
    axes.set_yticks(range(len(rows)), [_short(row.label) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)  # the best on top
    axes.grid(axis="x", alpha=0.3)


def _draw_curves(
    axes: Any, rows: Sequence[Row], folder: Path, results: Sequence[Result], name: str
) -> None:
    lowest, highest = float("inf"), 0.0
    for place, row in enumerate(rows):
        x, y = _mean_curve([folder / result.job.name for result in _of(row, results)], name)
        marker = "o" if len(x) == 1 else None
        axes.plot(x, y, color=f"C{place % 10}", label=_short(row.label), marker=marker)
        finite = [value for value in y if isfinite(value)]
        lowest, highest = min([lowest, *finite]), max([highest, *finite])
    if 0 < 10 * lowest < highest:
        axes.set_yscale("log")
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=6, min_n_ticks=1)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", framealpha=0.7, edgecolor="none")


def _mean_curve(folders: Sequence[Path], name: str) -> tuple[list[float], list[float]]:
    """Return the epochs that all runs have, and the mean over the runs."""
    curves = []
    for folder in folders:
        try:
            history = read_rows(folder / METRICS)
        except DataError:
            continue
        if history:
            curves.append({row["epoch"]: row[name] for row in history if name in row})
    epochs = sorted(set.intersection(*map(set, curves))) if curves else []
    return epochs, [fmean(curve[epoch] for curve in curves) for epoch in epochs]


def _of(row: Row, results: Sequence[Result]) -> list[Result]:
    return [r for r in results if r.job.variant == row.variant and not r.error]


def _short(label: str) -> str:
    """Leave out the middle of a long label; both ends tell variants apart."""
    half = (_LONGEST - 3) // 2
    return label if len(label) <= _LONGEST else f"{label[:half]}...{label[-half:]}"
