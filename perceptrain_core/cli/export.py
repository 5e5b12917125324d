"""``perceptrain export``: a trained run as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from perceptrain_core.cli.predict import RunFolder, Trust, Weights


def export(
    run: RunFolder,
    format: Annotated[
        str,
        typer.Option(
            "--format", help="torch-export, onnx, or torchscript, which is for older programs."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="The file to write; by default exported.* in the run folder."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Rows to compare with; by default those of the training."),
    ] = None,
    weights: Weights = "last",
    trust: Trust = False,
) -> None:
    """Export a trained run to a file that predicts without Perceptrain.

    The preparation of the inputs and the units of the labels are part of the file. FILE.json
    describes its input and output. The file is checked: it must predict what the run predicts.
    """
    from perceptrain_core.trained.load_run import load_run

    chosen: Any = format  # checked by TrainedRun.export
    path = load_run(run, weights, trust=trust).export(out, chosen, data)
    print(f"{path} predicts what the run predicts; {path.name}.json describes it")
