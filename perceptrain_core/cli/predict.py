"""``perceptrain predict``: predictions of a trained run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perceptrain_core.plurals import counted

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
        typer.Argument(metavar="DATA", help="A table: CSV, Parquet ...; or a folder of images."),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="The file to write, .csv or .parquet, or a folder of masks; by default stdout.",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            "--keep",
            metavar="COLUMN",
            help="A column of DATA to write, too; a name or a pattern such as 'id*'; repeatable.",
        ),
    ] = None,
    weights: Weights = "last",
    trust: Trust = False,
) -> None:
    """Predict the rows of a table, in the units and names of the labels.

    One row is written for each row of the table: the labels, and for classes the probability of
    each. Large files are read and written in parts. A run on image_folder of
    perceptrain-segmentation predicts a folder of images, and writes a folder of masks.
    """
    from perceptrain_core.trained.load_run import load_run

    trained = load_run(run, weights, trust=trust)
    rows = trained.write_predictions(data, out, keep or ())
    if out is not None:
        print(f"{counted(rows, 'row')} {'is' if rows == 1 else 'are'} in {out}")
