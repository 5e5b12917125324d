"""Write the report: one HTML file that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from perceptrain_core.errors import DataError
from perceptrain_core.plurals import counted
from perceptrain_core.reports.chart import COLORS, HEIGHT, WIDTH, Chart
from perceptrain_core.reports.comparison import (
    differences_table,
    figures,
    folds_table,
    results_table,
    settings_rows,
    stages_table,
)
from perceptrain_core.reports.curves import best_epoch, curves
from perceptrain_core.reports.prediction_charts import ConfusionMatrix, prediction_charts
from perceptrain_core.reports.reported_run import ReportedRun, read_runs
from perceptrain_core.runs.metric_directions import monitored
from perceptrain_core.version import __version__

NAME = "report.html"
_CARDS = 4


def write_report(folders: Sequence[Path], path: Path | None = None) -> Path:
    """Write an HTML page about one or several run folders.

    Only files of numbers and settings are read: no weights, and no code that a run names.

    Args:
        folders: The run folders.
        path: The file; ``report.html`` in the run folder by default, and with several folders in
            the working directory.

    Returns:
        The path of the file.

    Raises:
        DataError: A folder is not that of a run, one of its files cannot be read, or the page
            cannot be written.
    """
    page = render(read_runs(folders))
    if path is None:
        path = folders[0] / NAME if len(folders) == 1 else Path(NAME)
    try:
        path.write_text(page, encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"The report cannot be written to {path}: {error.strerror}.") from None
    return path


def render(records: Sequence[ReportedRun]) -> str:
    """Return the HTML page about runs."""
    # Names come from files that strangers may have written: everything is escaped.
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(_asset),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, style = _asset("page.js"), _asset("page.css")
    return environment.get_template("page.html").render(
        title=", ".join(record.name for record in records),
        script=script,
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
        style=style,
        size=(WIDTH, HEIGHT),
        version=__version__,
        **_content(records),
    )


def _content(records: Sequence[ReportedRun]) -> dict[str, Any]:
    compared = len(records) > 1
    record = records[0]
    lines = _legend(records)
    return {
        "runs": [_run(each) for each in records],
        "compared": compared,
        "cards": [] if compared else _cards(record),
        "results": results_table(records) if compared else None,
        "differences": differences_table(records) if compared else None,
        "stages": None if compared or record.folds else stages_table(record),
        "charts": curves(records),
        "legend": lines,
    }


def _legend(records: Sequence[ReportedRun]) -> list[tuple[int, str]]:
    """Return the color and the name of each run, if the curves are of several runs."""
    if len(records) == 1 and not records[0].folds:
        return []
    runs = records if len(records) > 1 else records[0].runs
    return [(color % COLORS, run.name) for color, run in enumerate(runs)] if len(runs) > 1 else []


def _run(record: ReportedRun) -> dict[str, Any]:
    settings: dict[str, dict[str, str]] = {}
    for path, text in settings_rows(record.settings).items():
        table, _, key = path.partition(".")
        settings.setdefault(table, {})[key or table] = text
    return {
        "record": record,
        "status": _status(record),
        "settings": settings,
        "folds": folds_table(record) if record.folds else None,
        "predictions": [
            (isinstance(chart, Chart), chart)
            for each in record.predictions
            for chart in _predictions(each)
        ],
    }


def _predictions(each: Any) -> list[Chart | ConfusionMatrix]:
    return prediction_charts(
        each.truth, each.prediction, each.classes, each.probabilities, each.label
    )


def _status(record: ReportedRun) -> str:
    if record.folds:
        done = sum(fold.is_measured for fold in record.folds)
        return f"cross-validation, {counted(done, 'fold')} complete"
    last = record.rows[-1].get("epoch", len(record.rows)) if record.rows else 0
    planned = record.table("train").get("max_iter")
    of = f" of {planned}" if isinstance(planned, int) else ""
    return f"{'' if record.is_finished else 'not finished: '}{last:.0f}{of} epochs"


def _cards(record: ReportedRun) -> list[tuple[str, str]]:
    """Return the figures for the top of the page, with what they are."""
    found = figures(record)
    names = sorted(found, key=lambda name: not name.startswith("test_"))
    cards = [(_card_title(name, record), str(found[name])) for name in names[:_CARDS]]
    best = best_epoch(record)
    if best is not None and not record.folds:
        name = next(
            n for n in (monitored(record.settings)[0], "val_loss", "train_loss") if n in best
        )
        cards.append((f"best epoch, by {name}", f"{best['epoch']:.0f}"))
    return cards


def _card_title(name: str, record: ReportedRun) -> str:
    of = " over the folds" if record.folds else f", {record.weights}"
    words = name.replace("_", " ", 1)
    return words if name.startswith("test_") and not record.folds else words + of


def _asset(name: str) -> str:
    return files("perceptrain_core.reports").joinpath("assets", name).read_text(encoding="utf-8")
