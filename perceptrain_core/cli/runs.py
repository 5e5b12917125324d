"""``perceptrain runs``: list the runs below a folder."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from perceptrain_core.cli import output
from perceptrain_core.errors import ConfigError
from perceptrain_core.plurals import counted

if TYPE_CHECKING:
    from perceptrain_core.comparisons.run_list import Listed

_HEADERS = ("NAME", "DATE", "MODEL", "LOSS", "EPOCHS", "TRAINED MODEL")
_LEAST = ("DATE", "EPOCHS", "MODEL", "LOSS")
_KEYS = ("name", "kind", "model", "loss", "optimizer")


def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder.")] = Path("runs"),
    sort: Annotated[
        str | None, typer.Option(metavar="METRIC", help="The best figure first, e.g. val_loss.")
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="KEY=VALUE", help="E.g. loss=mse; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON.")] = False,
) -> None:
    """List runs with the validation and test figures of the trained models, the newest first.

    A cross-validation and a comparison are one row each: list their folders to see all their runs.
    """
    from perceptrain_core.comparisons.run_list import list_runs

    if not folder.is_dir():
        raise ConfigError(f"There is no folder {folder}: name a folder with runs.")
    wanted = [_filter(text) for text in filters or []]
    found = [
        entry
        for entry in list_runs(folder)
        if all(_text(entry.value(key)) == value for key, value in wanted)
    ]
    if sort is not None:
        found = _sorted(found, sort)
    if as_json:
        output.write_json([entry.as_json() for entry in found])
        return
    if not found:
        print(f"No runs in {folder}.")
        return
    _write_rows([_HEADERS, *(_row(entry, sort) for entry in found)])


def _write_rows(rows: list[tuple[str, ...]]) -> None:
    """Write the table; in a narrow terminal, leave out columns so that the others fit."""
    for left_out in range(len(_LEAST) + 1):
        kept = [at for at, name in enumerate(_HEADERS) if name not in _LEAST[:left_out]]
        shown = [tuple(row[at] for at in kept) for row in rows]
        if output.fits([row[:-1] for row in shown]):
            break
    output.write_table(shown[0], shown[1:])


def _filter(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or ("." not in key and key not in _KEYS):
        raise ConfigError(
            f"--filter {text!r}: expected KEY=VALUE, with the key {', '.join(_KEYS)}, or one of "
            "the run file such as optimizer.lr."
        )
    return key, _text(value)


def _text(value: object) -> str:
    """Write a value so that 0.01 and 1e-2 are the same."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return repr(float(str(value)))
    except ValueError:
        return str(value)


def _sorted(found: list[Listed], sort: str) -> list[Listed]:
    from perceptrain_core.registry.messages import listed
    from perceptrain_core.runs.metric_directions import better
    from perceptrain_core.suggestions import did_you_mean

    known = sorted({name for entry in found for name in (*entry.val, *entry.test)})
    short = [name.removeprefix("val_") for name in known]
    if found and all(entry.figure(sort) is None for entry in found):
        hint = did_you_mean(sort.removeprefix("val_"), short)
        raise ConfigError(f"--sort {sort}: no run has this figure.{hint} Known: {listed(known)}.")
    name = sort if sort.startswith(("val_", "test_")) else f"val_{sort}"
    directions = {better(name, entry.tables) for entry in found if entry.figure(sort) is not None}
    sign = -1 if directions == {"higher"} else 1

    def key(entry: Listed) -> float:
        value = entry.figure(sort)
        return inf if value is None or value != value else sign * value

    return sorted(found, key=key)


def _row(entry: Listed, sort: str | None) -> tuple[str, ...]:
    kind = _kind(entry)
    name = f"{entry.name} ({kind})" if kind else entry.name
    figures = entry.val | entry.test
    first = [key for key in figures if sort is not None and key in (sort, f"val_{sort}")]
    shown = dict.fromkeys([*first, *figures])
    cells = ", ".join(f"{key}{output.TIE}{figures[key]:.4g}" for key in shown)
    return name, entry.date[:16], entry.model, entry.loss, str(entry.epochs), cells


def _kind(entry: Listed) -> str:
    """Say what a row is if it is not the whole of one run."""
    if entry.kind == "folds":
        return counted(entry.runs, "fold")
    if entry.kind == "comparison":
        return f"best of {counted(entry.runs, 'run')}"
    return "pruned" if entry.pruned else ""
