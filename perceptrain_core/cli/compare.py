"""``perceptrain compare``: train variants of a run file, and compare a figure of them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perceptrain_core.cli import output
from perceptrain_core.plurals import counted

if TYPE_CHECKING:
    from perceptrain_core.comparisons.comparison import Comparison
    from perceptrain_core.comparisons.plan import Plan
    from perceptrain_core.comparisons.results import Result, Row
    from perceptrain_core.comparisons.settings import Choices, Range

_PART = "A name, or NAME:key=value with options separated by commas; repeatable."
_MOST_FIGURES = 3


def compare(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="The run file.")],
    loss: Annotated[list[str] | None, typer.Option(metavar="LOSS", help=_PART)] = None,
    weighting: Annotated[
        list[str] | None, typer.Option(metavar="WEIGHTING", help=f"{_PART} none for no weighting.")
    ] = None,
    optimizer: Annotated[list[str] | None, typer.Option(metavar="OPTIMIZER", help=_PART)] = None,
    model: Annotated[list[str] | None, typer.Option(metavar="MODEL", help=_PART)] = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="TABLE.KEY=A,B",
            help="Values separated by commas, or with --trials a range LOW..HIGH; repeatable.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Train each variant with this many seeds.")] = 1,
    by: Annotated[
        str | None, typer.Option(metavar="METRIC", help="The validation figure to compare.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default, the number of cores.")
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Search with Optuna: train this many variants.")
    ] = None,
    prune: Annotated[
        str | None,
        typer.Option(
            metavar="PRUNER",
            help="Stop bad trials early: median, successive_halving or hyperband.",
        ),
    ] = None,
    search_seed: Annotated[int, typer.Option(help="Seed of the search.")] = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the variants, and try one batch of each.")
    ] = False,
) -> None:
    """Train every combination of losses, models and values, and compare them in a table.

    A second call with the same options keeps the finished runs and trains the others. Ctrl-C stops
    all runs after their current step.
    """
    from perceptrain_core.comparisons.pruning import check_prunable
    from perceptrain_core.comparisons.search import require_optuna

    parts = {"loss": loss, "weighting": weighting, "optimizer": optimizer, "model": model}
    base, space = _read_space(parts, values or [], searches=trials is not None)
    cores = jobs or _cores()
    if trials is not None:
        require_optuna()
    _check_pruner(prune, trials is not None)
    plan = _plan(run_file, base, space, seeds, by, trials is not None)
    if prune is not None:
        check_prunable(plan)
    if dry_run:
        _write_dry_run(plan)
        return
    comparison = _train(plan, space, cores, trials, search_seed, prune)
    _finish(comparison)


def _check_pruner(name: str | None, searches: bool) -> None:
    from perceptrain_core.comparisons.pruning import PRUNERS
    from perceptrain_core.errors import ConfigError
    from perceptrain_core.option_checks import check_choice

    if name is None:
        return
    check_choice("--prune", name, list(PRUNERS))
    if not searches:
        raise ConfigError("--prune stops the trials of a search: add --trials N.")


def _cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _read_space(
    parts: dict[Any, list[str] | None], values: Sequence[str], searches: bool
) -> tuple[list[str], list[Choices | Range]]:
    """Return what is the same in all variants, and what differs."""
    from perceptrain_core.comparisons.settings import Range, read_parts, read_values
    from perceptrain_core.errors import ConfigError

    axes: list[Choices | Range] = [
        read_parts(kind, texts) for kind, texts in parts.items() if texts
    ]
    axes += map(read_values, values)
    twice = {axis.key for axis in axes if sum(axis.key == other.key for other in axes) > 1}
    if twice:
        raise ConfigError(f"{sorted(twice)[0]} is varied twice: name all values in one --set.")
    ranges = [axis for axis in axes if isinstance(axis, Range)]
    if ranges and not searches:
        raise ConfigError(
            f"--set {ranges[0].key} has a range: say with --trials how many values to try."
        )
    base, space = [], []
    for axis in axes:
        if isinstance(axis, Range) or len(axis.settings) > 1:
            space.append(axis)
        else:
            base += [setting.override for setting in axis.settings if setting.override]
    if searches and not space:
        raise ConfigError("--trials needs something to search: --set TABLE.KEY=LOW..HIGH.")
    return base, space


def _plan(
    run_file: Path,
    base: list[str],
    space: list[Choices | Range],
    seeds: int,
    by: str | None,
    searches: bool,
) -> Plan:
    from perceptrain_core.comparisons.plan import make_plan
    from perceptrain_core.comparisons.search import corners
    from perceptrain_core.comparisons.settings import Choices, variants

    choices = [axis for axis in space if isinstance(axis, Choices)]
    found = corners(space) if searches else list(variants(choices))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each run warns again, in its log
        return make_plan(
            run_file, base, found, seeds, by, suffix="search" if searches else "compare"
        )


def _train(
    plan: Plan,
    space: list[Choices | Range],
    cores: int,
    trials: int | None,
    seed: int,
    pruner: str | None,
) -> Comparison:
    from perceptrain_core.comparisons.comparison import Comparison, choose_folder
    from perceptrain_core.comparisons.search import Search, search_folder

    runs = len(plan.seeds) * len(plan.folds)
    if trials is not None:
        total = trials * runs
        comparison = Comparison(plan, search_folder(plan, space), cores, _progress(plan, total))
        _announce(plan, comparison.folder, f"{trials} trials", total, cores)
        Search(comparison, space, trials, seed, pruner).run()
        return comparison
    jobs = [job for variant in plan.checked for job in plan.jobs_of(variant)]
    folder = choose_folder(plan.root, jobs)
    comparison = Comparison(plan, folder, cores, _progress(plan, len(jobs)))
    _announce(plan, folder, counted(len(plan.checked), "variant"), len(jobs), cores)
    comparison.train(jobs)
    return comparison


def _announce(plan: Plan, folder: Path, what: str, runs: int, cores: int) -> None:
    if folder != plan.root:
        output.note(f"{plan.root} has runs of other settings: these go to {folder}.")
    processes = min(cores, runs)
    print(f"{what}, {counted(runs, 'run')} in {counted(processes, 'process', 'processes')}")


def _progress(plan: Plan, total: int) -> Any:
    done = 0

    def write(result: Result, earlier: bool) -> None:
        nonlocal done
        done += 1
        head = f"[{done:{len(str(total))}}/{total}] {result.job.label}: "
        value = result.figures.get(f"val_{plan.by}")
        figure = f"no {plan.by}" if value is None else f"{plan.by} {value:.4g}"
        if result.pruned:
            figure = f"pruned after epoch {result.pruned}"
        end = "kept" if earlier else f"{result.seconds:.1f} s"
        print(
            head + (f"failed: {result.error}" if result.error else f"{figure} ({end})"), flush=True
        )

    return write


def _finish(comparison: Comparison) -> None:
    plan, rows = comparison.plan, comparison.rows
    comparison.write()
    print()
    if any(row.runs for row in rows):
        _write_rows(plan, rows)
    _draw(comparison, rows)
    failed = sum(len(row.errors) for row in rows)
    if comparison.stop_signal is not None:
        output.note(
            f"Stopped after {counted(len(comparison.results), 'run')}. Call the same command again "
            "to go on."
        )
        raise typer.Exit(128 + comparison.stop_signal)
    print(f"\nThe results of these runs are in {_short(comparison.folder)}")
    if failed:
        output.note(
            f"{failed} of {len(comparison.results)} runs failed, see above and the logs: call the "
            "same command again to train them again."
        )
        raise typer.Exit(output.FAILED)


def _write_rows(plan: Plan, rows: list[Row]) -> None:
    names = [plan.by, *(name for name in plan.metrics if name not in (plan.by, "loss"))]
    names = [name for name in names if any(f"val_{name}" in row.mean for row in rows)]
    several = any(row.runs > 1 for row in rows)
    for most in range(_MOST_FIGURES, 0, -1):  # as many figures as fit
        shown = names[:most]
        headers = ["VARIANT", *(name.upper() for name in shown), "RUNS"]
        lines = [
            [row.label, *(_cell(row, f"val_{name}") for name in shown), str(row.runs)]
            for row in rows
        ]
        if output.fits([headers, *lines]):
            break
    else:  # not even one: long names are wrapped
        headers, *lines = ([*row[1:], row[0]] for row in (headers, *lines))
    output.write_table(headers, lines)
    better = "higher" if plan.higher else "lower"
    spread = "; mean ± standard deviation" if several else ""
    print()
    output.write_text(f"Validation figures of the trained models{spread}.")
    output.write_text(f"Sorted by val_{plan.by} ({better} is better).")
    if "loss" not in plan.metrics:
        output.write_text(
            "Values of different losses are not comparable with each other: no loss is shown."
        )


def _cell(row: Row, name: str) -> str:
    if row.pruned:
        return "pruned"
    if name not in row.mean:
        return "-"
    spread = f" ± {row.std[name]:.2g}" if name in row.std else ""
    return f"{row.mean[name]:.4g}{spread}"


def _draw(comparison: Comparison, rows: list[Row]) -> None:
    from perceptrain_core.comparisons.picture import draw_comparison
    from perceptrain_core.errors import MissingDependencyError

    plan = comparison.plan
    try:
        draw_comparison(comparison.folder, rows, comparison.results, plan.by, plan.higher)
    except MissingDependencyError as error:
        output.note(f"The comparison was not drawn. {error}")


def _write_dry_run(plan: Plan) -> None:
    from perceptrain_core.comparisons.jobs import label_of

    rows = [(label_of(variant), one.fault or "good") for variant, one in plan.checked.items()]
    output.write_table(("VARIANT", "ONE BATCH"), rows)
    runs = len(plan.checked) * len(plan.seeds) * len(plan.folds)
    print(f"\n{counted(runs, 'run')} would be compared by {plan.by}; no files were written.")
    if plan.faults:
        raise typer.Exit(output.FAILED)


def _short(folder: Path) -> Path:
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
