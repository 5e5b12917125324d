"""``perceptrain report``: an HTML page about one or several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Run folders.", exists=True, file_okay=False),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.html",
            dir_okay=False,
            help="The page; by default report.html in the run folder, and with several runs in "
            "the working directory.",
        ),
    ] = None,
) -> None:
    """Write an HTML page about one run, or a comparison of several runs.

    The page is one file that needs no network. Weights are not read, and no code is run.
    """
    from perceptrain_core.reports.page import write_report

    print(write_report(folders, output))
