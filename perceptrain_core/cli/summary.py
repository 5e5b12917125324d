"""``perceptrain summary``: the parameters of the model of a run file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perceptrain_core.cli import output


def summary(
    run_file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="The run file.")],
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="TABLE.KEY=VALUE", help="Override a value of the run file; repeatable."
        ),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option("--depth", min=1, help="Add up what lies deeper than this many levels."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the parameters of each module of a model, trainable or not, and their size.

    Only the model is built; the data are not read.
    """
    from dataclasses import asdict

    from perceptrain_core.models import summary as summarize
    from perceptrain_core.runs.build import build_model
    from perceptrain_core.runs.read import read_run_file

    with output.foreign_code():
        model = build_model(read_run_file(run_file, overrides or []), run_file)
        found = summarize(model, depth)
    if as_json:
        totals = {name: getattr(found, name) for name in ("parameters", "trainable", "bytes")}
        output.write_json({"rows": [asdict(row) for row in found.rows], **totals})
    else:
        print(found)
