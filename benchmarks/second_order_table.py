"""The table and the picture of ``benchmarks.second_order``."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from math import inf, isfinite
from pathlib import Path
from statistics import median
from typing import Any

COLUMNS = 3
COLORS = 8  # of the style

Row = dict[str, Any]


def grouped(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    """Group the rows of all seeds by problem and method, in the order of their first rows."""
    rows = list(rows)
    problems = list(dict.fromkeys(row["problem"] for row in rows))
    methods = list(dict.fromkeys(row["method"] for row in rows))

    def place(row: Row) -> tuple[int, int]:
        return problems.index(row["problem"]), methods.index(row["method"])

    ordered = groupby(sorted(rows, key=place), key=lambda row: (row["problem"], row["method"]))
    return {key: list(own) for key, own in ordered}


def table(rows: Iterable[Row]) -> str:
    """Format a row for each problem and method: medians over the seeds, and the range of errors.

    The errors of coefficients, in an inverse problem, follow that of the solution.
    """
    lines = [
        "| problem | parameters | method | error | range | best | seconds | iterations | memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    before = None
    for (problem, method), own in grouped(rows).items():
        errors = [_size(row["error"]) for row in own]
        best = median(_size(row["best"]) for row in own)
        shown = ("", "") if problem == before else (problem, f"{own[0]['parameters']:,}")
        spread = (
            f"{min(errors):.1e} to {max(errors):.1e}, {len(own)} seeds" if own[1:] else "1 seed"
        )
        error = f"{median(errors):.1e}{_coefficients(own)}"
        figures = [error, spread, f"{best:.1e}", *_effort(own)]
        lines.append(f"| {' | '.join([*shown, method, *figures])} |")
        before = problem
    return "\n".join(lines)


def summary(rows: list[Row]) -> str:
    """Format a line for the seeds of one problem and method."""
    errors = [_size(row["error"]) for row in rows]
    seconds, iterations, memory = _effort(rows)
    failed = sum(row["failure"] is not None for row in rows)
    return (
        f"{rows[0]['problem']}, {rows[0]['method']}: error {median(errors):.2e}"
        f"{_coefficients(rows)} ({min(errors):.2e} to {max(errors):.2e}, seeds: {len(rows)}, "
        f"failed: {failed}), "
        f"{seconds} s, {iterations} iterations, {rows[0]['parameters']:,} parameters, {memory}"
    )


def _coefficients(rows: list[Row]) -> str:
    """Format the errors of the coefficients of an inverse problem, if there are any."""
    names = [name for name in rows[0] if name.endswith("_error")]
    errors = {name: median(_size(row[name]) for row in rows) for name in names}
    return "".join(f", {name.removesuffix('_error')} {errors[name]:.1e}" for name in names)


def _effort(rows: list[Row]) -> list[str]:
    seconds, iterations, memory = (
        median(row[name] for row in rows) for name in ("seconds", "iterations", "memory_mb")
    )
    return [f"{seconds:.0f}", f"{iterations:,.0f}", f"{memory:,.0f} MB"]


def _size(error: float | None) -> float:
    """Count an error that is not a number as infinite."""
    return error if error is not None and isfinite(error) else inf


def draw(rows: Iterable[Row], path: Path) -> None:
    """Draw a panel for each problem: the error of each look over the processor time.

    Args:
        rows: The rows of all runs.
        path: Where to write the picture, as SVG.
    """
    from matplotlib import style

    with style.context("perceptrain_core.pictures"):
        _draw(grouped(rows), path)


def _draw(groups: dict[tuple[str, str], list[Row]], path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    problems = list(dict.fromkeys(problem for problem, _ in groups))
    methods = list(dict.fromkeys(method for _, method in groups))
    colors = {method: f"C{n % COLORS}" for n, method in enumerate(methods)}
    columns, lines = min(len(problems), COLUMNS), -(-len(problems) // COLUMNS)
    figure = Figure(figsize=(1 + 3 * columns, 0.8 + 2.4 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).flat
    for panel in panels[len(problems) :]:
        panel.set_axis_off()
    for panel, problem in zip(panels, problems, strict=False):
        panel.set_title(problem, fontsize=9, loc="left")
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.tick_params(labelsize=8)
        for (name, method), own in groups.items():
            for row in own if name == problem else []:
                looks = list(zip(*row["curve"], strict=True)) or [(), ()]
                marker = "." if len(looks[0]) == 1 else None  # a line needs two points
                panel.plot(*looks, color=colors[method], linewidth=1.2, marker=marker)
    handles = [Line2D([], [], color=colors[method], label=method) for method in methods]
    figure.legend(
        handles=handles, loc="outside upper center", ncols=min(4, len(methods)), fontsize=8
    )
    figure.supxlabel("processor time in seconds", fontsize=9)
    figure.supylabel("relative L2 error", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=100)
