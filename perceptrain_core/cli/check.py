"""``perceptrain check-plugin DISTRIBUTION``: does a plugin keep the contract?"""

from __future__ import annotations

from typing import Annotated

import typer

from perceptrain_core.cli import output


def check_plugin(
    distribution: Annotated[str, typer.Argument(help="The name of the installed distribution.")],
) -> None:
    """Check that a plugin keeps the contract; exit code 1 if it does not."""
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
