"""``perceptrain test``: the figures of a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perceptrain_core.cli import output
from perceptrain_core.cli.predict import RunFolder, Trust, Weights


def evaluate(
    run: RunFolder,
    data: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DATA]",
            help="A table with the labels, or what the data set of the run reads, such as a folder "
            "of images and masks; by default the run's own test data.",
        ),
    ] = None,
    weights: Weights = "last",
    trust: Trust = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate the loss and the metrics of a trained run."""
    from perceptrain_core.trained.load_run import load_run

    trained = load_run(run, weights, trust=trust)
    figures = trained.test(data)
    if as_json:
        output.write_json(figures)
        return
    rows = [(name, f"{value:.6g}") for name, value in figures.items()]
    output.write_table(("METRIC", f"VALUE ({trained.weights})"), rows)
