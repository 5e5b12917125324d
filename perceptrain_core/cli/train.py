"""``perceptrain train``: the main job, from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perceptrain_core.cli import output

if TYPE_CHECKING:
    from perceptrain_core.training.run import Run


def train(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="The run file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="In place of what the file says."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest good checkpoint.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build everything, try one batch, write nothing.")
    ] = False,
) -> None:
    """Train a model from a run file, and leave a folder with all of it."""
    from perceptrain_core.config.run_file import read_run_file
    from perceptrain_core.training.run import build_run

    run = build_run(read_run_file(run_file, overrides or []), run_file)
    if run.trainer.config.verbose:
        _describe(run)
    if dry_run:
        for name, value in run.try_one_batch().items():
            print(f"{name} of one batch: {value:.6g}")
        print("Dry run: everything fits together; nothing was written.")
        return
    folder = run.train(resume)
    if run.splits.test is not None:
        for name, value in run.test().items():
            print(f"{name} {value:.6g}")
    draw_curves(folder)
    print(f"Everything of this run is in {_short(folder)}")
    if run.trainer.interrupted:
        raise typer.Exit(output.FAILED)


def draw_curves(folder: Path) -> None:
    """Draw the curves of a run folder; without matplotlib say what is missing."""
    from perceptrain_core.analysis.curves import plot_run
    from perceptrain_core.errors import MissingDependencyError

    try:
        plot_run(folder)
    except MissingDependencyError as error:
        output.note(f"No picture of the curves. {error}")


def _describe(run: Run) -> None:
    from perceptrain_core.models import num_parameters

    trainer, table = run.trainer, run.run_file
    rows = [
        ("model", table.model.name, f"{num_parameters(trainer.model)} parameters"),
        ("loss", table.loss.name, _supplier(trainer.provenance.get("loss"))),
        ("optimizer", table.optimizer.name, _supplier(trainer.provenance.get("optimizer"))),
        ("data", str(table.data.name or table.data.file), run.splits.describe()),
    ]
    output.write_table(("PART", "NAME", "WHAT"), rows)
    print()


def _supplier(entry: dict[str, str] | None) -> str:
    if entry is None or "distribution" not in entry:
        return "of your own"
    return f"from {entry['distribution']} {entry.get('version', '')}".rstrip()


def _short(folder: Path) -> Path:
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
