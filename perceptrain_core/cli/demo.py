"""``perceptrain demo``: train on real data in about a minute."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated

import typer

from perceptrain_core.cli import output


def demo(
    folder: Annotated[
        Path, typer.Option("--dir", help="The folder for the runs, plots and table.")
    ] = Path("runs/demo"),
) -> None:
    """Train classifiers and a physics-informed network, and compare losses."""
    _require_extras()
    import torch

    from perceptrain_core.training.run_folder import unused

    torch.set_num_threads(1)  # more threads slow down networks this small
    folder = unused(folder)
    folder.mkdir(parents=True)
    _list_losses()
    rows = [_digits(folder), _table(folder), *_helmholtz(folder)]
    print()
    table = [("TASK", "LOSS", "SECONDS", "RESULT"), *rows]
    output.write_table(table[0], rows)
    with (folder / "summary.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table)
    print("\nErrors are relative L2 errors against the exact solution.")
    print("Training losses with mse and grad_weighted have other weights, so do not compare those.")
    print("Pictures and a report:")
    for path in sorted([*folder.rglob("*.png"), *folder.rglob("*.html")]):
        print(f"  {path}")


def _require_extras() -> None:
    from importlib.util import find_spec

    from perceptrain_core.errors import MissingDependencyError

    needed = ("sklearn", "matplotlib", "pyarrow", "torchmetrics")
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f'The demo needs {_listed(missing)}: pip install "perceptrain-core[demo]".'
        )


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _list_losses() -> None:
    from perceptrain_core.registry import registry

    print("Installed losses (perceptrain list-losses):\n")
    losses = registry().losses
    output.write_table(("NAME", "SUMMARY"), [(n, losses[n].summary) for n in losses])


def _digits(folder: Path) -> tuple[str, ...]:
    from perceptrain_core.cli.demo_digits import FILE, RUN, train_digits

    print(f"\nHandwritten digits, as in: perceptrain train {folder / FILE}\n")
    print("\n".join(f"    {line}" for line in RUN.splitlines()), end="\n\n")
    loss, result, seconds = train_digits(folder)
    return "digits", loss, f"{seconds:.1f}", result


def _table(folder: Path) -> tuple[str, ...]:
    from perceptrain_core.cli.demo_table import commands, use_table

    print("\nTumours, from a table to a model in use, as by:\n")
    print("\n".join(f"    {command}" for command in commands(folder)), end="\n\n")
    loss, result, seconds = use_table(folder)
    return "tumours", loss, f"{seconds:.1f}", result


def _helmholtz(folder: Path) -> list[tuple[str, ...]]:
    from perceptrain_core.cli.demo_helmholtz import draw, solve

    losses = {"mse": "mse", "grad_weighted": {"name": "grad_weighted", "fixed_metric": "pde"}}
    rows: list[tuple[str, ...]] = []
    solutions, histories = {}, {}
    for name, loss_fn in losses.items():
        print(f"\nThe Helmholtz equation, a loss with two terms, with {name}:\n")
        solutions[name], error, histories[name], seconds = solve(loss_fn)
        rows.append(("helmholtz", name, f"{seconds:.1f}", f"error {error:.3g}"))
    draw(solutions, histories, folder / "helmholtz.png")
    return rows
