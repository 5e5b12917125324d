"""``perceptrain schema``: the JSON schema of run files."""

from __future__ import annotations

from perceptrain_core.cli import output


def schema() -> None:
    """Print the JSON schema of run files, with which an editor completes and checks them.

    The names of all installed plugins are in it.
    """
    from perceptrain_core.runs.schema import run_file_schema

    with output.foreign_code():
        found = run_file_schema()
    output.write_json(found)
