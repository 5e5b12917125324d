"""``perceptrain train``: train from a run file."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perceptrain_core.cli import output

if TYPE_CHECKING:
    from torch import nn

    from perceptrain_core.runs.run import Run


def train(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="The run file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="TABLE.KEY=VALUE", help="Override a value of the run file; repeatable."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume from the newest valid checkpoint.")
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Build everything and try one batch, without writing files."
        ),
    ] = False,
) -> None:
    """Train a model from a run file, and save the results in a run folder.

    With train.verbose=false, only the folder is printed. Ctrl-C stops the run and keeps its
    results; the exit code is then 130, or 143 after SIGTERM.
    """
    from perceptrain_core.runs.build import build_run
    from perceptrain_core.runs.read import read_run_file

    with _one_line_warnings():
        run = build_run(read_run_file(run_file, overrides or []), run_file)
        verbose = run.trainer.config.verbose
        if verbose:
            _write_parts(run)
        if dry_run:
            _try_one_batch(run, verbose)
            return
        folder = run.train(resume)
        results = run.test() if run.splits.test is not None else {}
    if run.trainer.history:
        draw_curves(folder)
    if verbose:
        _write_results(results, _short(folder))
    else:
        print(_short(folder))
    if run.trainer.stop_signal is not None:
        raise typer.Exit(128 + signal.Signals[run.trainer.stop_signal])


def draw_curves(folder: Path) -> None:
    """Plot the curves of a run to its folder; without matplotlib, print a note."""
    from perceptrain_core.analysis.curves import plot_run
    from perceptrain_core.errors import MissingDependencyError

    try:
        plot_run(folder)
    except MissingDependencyError as error:
        output.note(f"The curves were not plotted. {error}")


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Show each warning as one line, without the source line that issued it."""
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: output.note(
            f"Warning: {' '.join(str(message).split())}"
        )
        yield


def _try_one_batch(run: Run, verbose: bool) -> None:
    results = run.try_one_batch()
    if verbose:
        output.write_table(("METRIC", "ONE BATCH"), _rows(results))
        print("\nDry run passed: one batch was evaluated, no files were written.")


def _write_results(results: dict[str, float], folder: Path) -> None:
    print()
    if results:
        output.write_table(("METRIC", "TEST DATA"), _rows(results))
        print()
    print(f"The results of this run are in {folder}")


def _rows(results: dict[str, float]) -> list[tuple[str, str]]:
    return [(name, f"{value:.6g}") for name, value in results.items()]


def _write_parts(run: Run) -> None:
    trainer, table = run.trainer, run.run_file
    rows = [
        ("model", table.model.name, _size(trainer.model)),
        ("loss", table.loss.name, _supplier(trainer.provenance.get("loss"))),
        ("optimizer", table.optimizer.name, _supplier(trainer.provenance.get("optimizer"))),
        ("data", table.data.name or str(table.data.file), run.splits.describe()),
    ]
    if table.weighting is not None:
        supplier = _supplier(trainer.provenance.get("weighting"))
        rows.insert(2, ("weighting", table.weighting.name, supplier))
    rows = [(part, _without_folder(name), what) for part, name, what in rows]
    output.write_table(("PART", "NAME", "WHAT"), rows)
    print()


def _size(model: nn.Module) -> str:
    from torch.nn.parameter import is_lazy

    from perceptrain_core.models import num_parameters

    if any(map(is_lazy, model.parameters())):
        return "lazy: the first batch sets the number of its parameters"
    return f"{num_parameters(model)} parameters"


def _without_folder(name: str) -> str:
    """Shorten a data file or a reference to a Python file, which the run file made absolute."""
    return Path(name).name if Path(name).is_absolute() else name


def _supplier(entry: dict[str, str] | None) -> str:
    if entry is None or "distribution" not in entry:
        return "your own"
    return f"from {entry['distribution']} {entry.get('version', '')}".rstrip()


def _short(folder: Path) -> Path:
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
