"""``perceptrain init``: write a run file for a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perceptrain_core.cli import output

if TYPE_CHECKING:
    from perceptrain_core.data.tables.columns import Columns
    from perceptrain_core.data.tables.survey import TableSurvey

_LISTED = 5


def init(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A table: CSV, Parquet ...")],
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="COLUMN", help="The column to predict; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="RUN.toml", help="The run file; by default DATA.toml here."
        ),
    ] = None,
    classes: Annotated[
        bool | None,
        typer.Option(
            "--classes/--numbers",
            help="Whether the label is a class or a number; detected by default.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the run file.")] = False,
) -> None:
    """Write a run file for a table, ready to train.

    Without --label, the columns of the table are listed.
    """
    from perceptrain_core.data.tables.read import read_columns
    from perceptrain_core.data.tables.survey import survey_table
    from perceptrain_core.errors import ConfigError, DataError
    from perceptrain_core.runs.draft import draft_run_file, relative_data_file

    columns = read_columns(data)
    if not labels:
        _list_columns(data, columns)
        return
    try:
        survey = survey_table(columns, list(dict.fromkeys(labels)), classes)
    except DataError as error:
        raise ConfigError(f"{data}: {error}") from error
    path = out or Path(f"{data.stem}.toml")
    text = draft_run_file(relative_data_file(data, path), survey)
    _write(path, text, force)
    _describe(survey)
    print(f"\n{path} is written. Next: perceptrain train {path}")


def _write(path: Path, text: str, force: bool) -> None:
    from perceptrain_core.errors import ConfigError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{path} exists: add --force to overwrite it, or -o to write another file."
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}.") from error


def _list_columns(data: Path, columns: Columns) -> None:
    from perceptrain_core.data.tables.survey import survey_column

    found = [survey_column(name, column) for name, column in columns.items()]
    rows = [(c.name, str(c.gaps or ""), f"{c.what}{_why_not(c.refused)}") for c in found]
    output.write_table(("COLUMN", "MISSING", "WHAT"), rows)
    print(f"\nName the column to predict: perceptrain init {data} --label COLUMN")


def _why_not(refused: str | None) -> str:
    return "" if refused is None else f"; no input: {refused}"


def _describe(survey: TableSurvey) -> None:
    from perceptrain_core.plurals import counted

    names = ", ".join(survey.labels)
    if survey.task == "classes":
        most = max(survey.classes, key=lambda name: survey.classes[name])
        share = survey.classes[most] / survey.rows
        print(
            f"Classification: {len(survey.classes)} classes of {names}, the most frequent "
            f"{most!r} in {share:.1%} of {counted(survey.rows, 'row')}."
        )
    else:
        print(f"Regression of {names}, over {counted(survey.rows, 'row')}.")
        if survey.hint:
            print(survey.hint)
    gaps = sum(1 for column in survey.used if column.gaps)
    filled = f", {gaps} of them with gaps to fill" if gaps else ""
    used = len(survey.used)
    print(f"{counted(used, 'column')} {'is an input' if used == 1 else 'are inputs'}{filled}.")
    for column in survey.used:
        if column.reveals:
            print(f"{column.name!r} alone tells the label ({column.reveals}): is it known before?")
    if survey.left_out:
        few = survey.left_out[:_LISTED]
        more = len(survey.left_out) - len(few)
        listed = "; ".join(f"{c.name!r} {c.refused}" for c in few)
        print(f"Left out: {listed}{f'; and {more} more' if more else ''}.")
