"""``perceptrain train``: train from a run file."""

from __future__ import annotations

import shlex
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perceptrain_core.cli import output
from perceptrain_core.cli.completion import complete_override

if TYPE_CHECKING:
    from torch import nn

    from perceptrain_core.runs.run import Run
    from perceptrain_core.runs.tables import RunFile


def train(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="The run file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="TABLE.KEY=VALUE",
            help="Override a value of the run file; repeatable.",
            autocompletion=complete_override,
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

    With folds in [data], train a model for each fold, and print the mean of their figures.

    With train.verbose=false, only the folder is printed. Ctrl-C stops the run and keeps its
    results; the exit code is then 130, or 143 after SIGTERM.
    """
    from perceptrain_core.runs.build import build_run
    from perceptrain_core.runs.read import read_run_file
    from perceptrain_core.runs.versions import with_recorded_versions

    with _naming(run_file):
        tables = read_run_file(run_file, overrides or [])
        if resume and not tables.provenance:
            tables = with_recorded_versions(tables, run_file)
        if tables.data.cross_validated and not dry_run:
            _cross_validate(tables, run_file, resume)
            return
        if tables.data.cross_validated:
            tables.data.fold = 1
        _announce_code(tables, run_file)
        run = build_run(tables, run_file)
        verbose = run.trainer.config.verbose
        if verbose:
            _write_parts(run)
        if dry_run:
            _try_one_batch(run, verbose)
            return
        folder = run.train(resume)
        results = run.evaluate()
        run.write_predictions()
        finished = run.trainer.history and run.trainer.stop_signal is None
        advice = run.shortfall() if verbose and finished else None
    if run.writes and run.trainer.history:
        draw_curves(folder)
    if verbose:
        _write_results(results, _short(folder))
        if finished:
            _write_next(_short(folder), tables.data.file is not None)
    elif run.writes:
        print(_short(folder))
    if advice is not None:
        output.note(f"Warning: {advice}")
    _exit_after(run.trainer.stop_signal)


def _announce_code(tables: RunFile, path: Path) -> None:
    """Print which code the run file imports, before it is imported."""
    from perceptrain_core.trained.trust import sources_in

    sources = sources_in(tables, path.parent)
    if sources and tables.train.get("verbose", True):
        print(f"Imports {', '.join(sources)}\n")


def _cross_validate(tables: RunFile, path: Path, resume: bool) -> None:
    from perceptrain_core.runs.cross_validation import CrossValidation

    _announce_code(tables, path)
    validation = CrossValidation(tables, path)
    verbose = validation.config.verbose

    def announce(fold: int, run: Run) -> None:
        if verbose:
            if not validation.scores.rows:
                _write_parts(run)
            print(f"Fold {fold} of {tables.data.folds}: {run.splits.describe()}")

    folder = validation.train(resume, announce)
    _exit_after(validation.stop_signal)
    for trained in validation.folders:
        draw_curves(trained)
    if not verbose:
        print(_short(folder))
        return
    mean, std = validation.scores.mean, validation.scores.std
    rows = [(name, f"{mean[name]:.6g}", f"{std[name]:.3g}") for name in mean]
    print()
    output.write_table(
        ("METRIC", f"MEAN OF {len(validation.scores.rows)} FOLDS", "STD (n - 1)"), rows
    )
    print(f"\nThe results of these runs are in {_short(folder)}")


def _exit_after(stop_signal: str | None) -> None:
    """Exit with the code of the signal that ended the training, if one did."""
    if stop_signal is not None:
        raise typer.Exit(128 + signal.Signals[stop_signal])


def draw_curves(folder: Path) -> None:
    """Plot the curves of a run to its folder; without matplotlib, print a note."""
    from perceptrain_core.analysis.curves import plot_run
    from perceptrain_core.errors import MissingDependencyError

    try:
        plot_run(folder)
    except MissingDependencyError as error:
        output.note(f"The curves were not plotted. {error}")


@contextmanager
def _naming(run_file: Path) -> Iterator[None]:
    """Name the run file in errors about options that only the first batch shows."""
    from perceptrain_core.errors import ConfigError

    try:
        yield
    except ConfigError as error:
        if str(run_file) in str(error):
            raise
        table = f", [{error.part}]" if error.part else ""
        raise ConfigError(f"{run_file}{table}: {error}") from error


def _try_one_batch(run: Run, verbose: bool) -> None:
    results = run.try_one_batch()
    if verbose:
        output.write_table(("METRIC", "ONE BATCH"), _rows(results))
        print("\nDry run passed: one batch was evaluated, no files were written.")


def _write_results(results: dict[str, float], folder: Path) -> None:
    print()
    if results:
        output.write_table(("METRIC", "TRAINED MODEL"), _rows(results))
        print()
    print(f"The results of this run are in {folder}")


def _write_next(folder: Path, from_table: bool) -> None:
    """Say what can be done with the run."""
    place = shlex.quote(str(folder))
    predict = f"perceptrain predict {place} DATA.csv, or " if from_table else ""
    print(f"Next: {predict}perceptrain report {place}")


def _rows(results: dict[str, float]) -> list[tuple[str, str]]:
    return [(name, f"{value:.6g}") for name, value in results.items()]


def _write_parts(run: Run) -> None:
    trainer, table = run.trainer, run.run_file
    rows = [
        ("model", table.model.name, _size(trainer.model)),
        ("loss", table.loss.name, _supplier(trainer.provenance.get("loss"))),
        ("optimizer", table.optimizer.name, _supplier(_optimizer_entry(trainer.provenance))),
        ("data", table.data.name or str(table.data.file), run.splits.describe()),
    ]
    if table.weighting is not None:
        supplier = _supplier(trainer.provenance.get("weighting"))
        rows.insert(2, ("weighting", table.weighting.name, supplier))
    rows = [(part, _without_folder(name), what) for part, name, what in rows]
    output.write_table(("PART", "NAME", "WHAT"), rows)
    print()
    if run.notes:
        print("\n".join(run.notes), end="\n\n")


def _size(model: nn.Module) -> str:
    from torch.nn.parameter import is_lazy

    from perceptrain_core.models import num_parameters

    if any(map(is_lazy, model.parameters())):
        return "lazy: the first batch sets the number of its parameters"
    return f"{num_parameters(model)} parameters"


def _without_folder(name: str) -> str:
    """Shorten a data file or a reference to a Python file, which the run file made absolute."""
    return Path(name).name if Path(name).is_absolute() else name


def _optimizer_entry(provenance: Mapping[str, dict[str, str]]) -> dict[str, str] | None:
    """Return the entry of the optimizer, or of the first one inside a combined optimizer."""
    found = (e for part, e in provenance.items() if part.split(".")[0] == "optimizer")
    return next(found, None)


def _supplier(entry: dict[str, str] | None) -> str:
    if entry is None or not entry.get("distribution"):
        return "your own"
    return f"from {entry['distribution']} {entry.get('version', '')}".rstrip()


def _short(folder: Path) -> Path:
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
