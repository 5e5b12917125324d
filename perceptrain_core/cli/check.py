"""``perceptrain check-plugin DISTRIBUTION``: check a plugin against the contract."""

from __future__ import annotations

from typing import Annotated

import typer

from perceptrain_core.cli import output


def check_plugin(
    distribution: Annotated[str, typer.Argument(help="The distribution of an installed plugin.")],
) -> None:
    """Check a plugin against the contract. The exit code is 1 if a check fails."""
    from perceptrain_core.testing import run_checks

    with output.foreign_code():
        checks = run_checks(distribution)
    rows = [
        ("passed" if check.passed else "FAILED", check.name, line)
        for check in checks
        for line in check.faults or (check.detail,)
    ]
    output.write_table(("RESULT", "CHECK", "FOUND"), rows)
    failed = sum(not check.passed for check in checks)
    if failed:
        output.note(f"{distribution}: {failed} of {len(checks)} checks failed.")
        raise typer.Exit(output.FAILED)
    print(f"{distribution}: all {len(checks)} checks passed.")
    print(
        "They build and call nothing. To try each name too, run this in the plugin's folder: "
        f"pytest --perceptrain-plugin {distribution}"
    )
