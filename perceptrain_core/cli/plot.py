"""``perceptrain plot``: plot the curves of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plot(
    folder: Annotated[
        Path,
        typer.Argument(metavar="RUN_FOLDER", help="The run folder.", exists=True, file_okay=False),
    ],
) -> None:
    """Plot the curves of a run to curves.png in its folder."""
    from perceptrain_core.analysis.curves import plot_run

    print(plot_run(folder))
