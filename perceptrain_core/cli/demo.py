"""``perceptrain demo``: the main job on real data, in about a minute."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perceptrain_core.cli import output


def demo(
    folder: Annotated[
        Path, typer.Option("--dir", help="Where the pictures, runs and the table go.")
    ] = Path("runs/demo"),
) -> None:
    """Find losses by name, train a classifier and a physics-informed network, and compare."""
    from perceptrain_core.training.run_folder import unused

    _require_extras()
    folder = unused(folder)
    folder.mkdir(parents=True)
    _list_losses()
    rows = [_digits(folder), *_helmholtz(folder)]
    print()
    output.write_table(("TASK", "LOSS", "SECONDS", "RESULT"), rows)
    table = "\n".join(" | ".join(row) for row in rows)
    (folder / "summary.txt").write_text(table + "\n", encoding="utf-8")
    print("\nLook at:")
    for path in sorted(folder.rglob("*.png")):
        print(f"  {path}")


def _require_extras() -> None:
    from importlib.util import find_spec

    from perceptrain_core.errors import MissingDependencyError

    missing = [name for name in ("sklearn", "matplotlib") if find_spec(name) is None]
    if missing:
        raise MissingDependencyError(
            f"The demo needs {' and '.join(missing)}, which come with the extra demo: "
            'pip install "perceptrain-core[demo]".'
        )


def _list_losses() -> None:
    from perceptrain_core.registry import registry

    print("Losses that are installed (perceptrain list-losses):\n")
    losses = registry().losses
    output.write_table(("NAME", "SUMMARY"), [(n, losses[n].summary) for n in losses])


def _digits(folder: Path) -> tuple[str, ...]:
    from perceptrain_core.cli.demo_digits import RUN, train_digits

    print("\nHandwritten digits, with this run file (perceptrain train digits.toml):\n")
    print("\n".join(f"    {line}" for line in RUN.splitlines()), end="\n\n")
    loss, result, seconds = train_digits(folder)
    return "digits", loss, f"{seconds:.1f}", result


def _helmholtz(folder: Path) -> list[tuple[str, ...]]:
    from perceptrain_core.cli.demo_helmholtz import draw, solve

    losses = {"mse": "mse", "grad_weighted": {"name": "grad_weighted", "fixed_metric": "pde"}}
    rows, solutions, histories = [], {}, {}
    for name, loss_fn in losses.items():
        print(f"\nThe Helmholtz equation, two terms, with {name}:\n")
        solutions[name], error, histories[name], seconds = solve(loss_fn)
        result = f"relative L2 error {error:.3g} against the exact solution"
        rows.append(("helmholtz", name, f"{seconds:.1f}", result))
    draw(solutions, histories, folder / "helmholtz.png")
    return rows
