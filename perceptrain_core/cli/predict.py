"""``perceptrain predict``: predictions of a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perceptrain_core.cli import output

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="The run folder.")]
Weights = Annotated[
    str, typer.Option("--weights", help="last, or best: those of checkpoint_best.pt.")
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Import the code that the run file names."),
]


def predict(
    run: RunFolder,
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="A table: CSV, Parquet ..."),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The file to write, .csv or .parquet; by default stdout."),
    ] = None,
    weights: Weights = "last",
    trust: Trust = False,
) -> None:
    """Predict the rows of a table, in the units and names of the labels.

    One row is written for each row of the table: the labels, and for classes the probability of
    each. Large files are read and written in parts.
    """
    from perceptrain_core.trained.load_run import load_run
    from perceptrain_core.trained.write_predictions import write_predictions

    with output.one_line_warnings():
        trained = load_run(run, weights, trust=trust)
        rows = write_predictions(trained.predict_in_batches(data), out)
    if out is not None:
        print(f"{rows} rows are in {out}")
