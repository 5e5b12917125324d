"""``perceptrain profile``: where the time of a training step goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perceptrain_core.cli import output


def profile(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="The run file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="TABLE.KEY=VALUE", help="Override a value of the run file; repeatable."
        ),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="The number of steps.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time a few training steps: the shares of data, loss, backward pass and optimizer.

    Nothing is written, and no result is kept.
    """
    from perceptrain_core.runs.build import build_run
    from perceptrain_core.runs.read import read_run_file

    with output.foreign_code():
        run = build_run(read_run_file(run_file, overrides or []), run_file)
        found = run.trainer.profile(steps=steps)
    if as_json:
        output.write_json({"steps": found.steps, "seconds": found.seconds, "shares": found.shares})
    else:
        print(found)
