"""``perceptrain schema``: the JSON schema of run files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perceptrain_core.cli import output


def schema(
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="The file to write; by default stdout."),
    ] = None,
) -> None:
    """Print the JSON schema of run files, with which an editor completes and checks them.

    The names of all installed plugins are in it.
    """
    import json

    from perceptrain_core.errors import ConfigError
    from perceptrain_core.runs.schema import run_file_schema

    with output.foreign_code():
        found = run_file_schema()
    if out is None:
        output.write_json(found)
        return
    try:
        out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}.") from error
    print(f"The schema is in {out}")
