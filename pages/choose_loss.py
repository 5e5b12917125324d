"""docs/choose_loss.md: which loss for which task, over all names of this repository."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pages.files import Files
from pages.first_party import own_entries
from pages.markdown import code, table
from perceptrain_core.registry import Entry
from perceptrain_core.registry.selection import BUILTIN_DISTRIBUTION

_HERE = Path(__file__).parent
_BATCH = re.compile(r"Batch: (?!see )(.+?)\.$")
INTRO = """
# Which loss for which task

Find your task in the first table, begin with the loss it names, and [compare](compare.md) it with
its neighbours by a metric that matters to you: `perceptrain compare RUN.toml --loss NAME --loss
NAME`. Every loss is used by its name, `Trainer(..., loss_fn="huber")`. `perceptrain show loss
NAME` prints its options.
"""
WEIGHTINGS = """
## Weightings of several terms

If a loss is a sum of terms, a weighting balances them: `Trainer(..., weighting="relobralo")`.
[Weighting the terms of a loss](weightings.md) compares the built-in ones.
"""


class Task(NamedTuple):
    """A task with its losses, as in losses.toml."""

    title: str
    predict: str
    first: str
    batch: str
    text: str
    names: dict[str, str]
    picture: str = ""
    caption: str = ""

    @property
    def anchor(self) -> str:
        """The anchor of its heading."""
        return re.sub(r"[^\w-]", "", self.title.lower().replace(" ", "-"))


def tasks() -> list[Task]:
    """Return the tasks of losses.toml."""
    return [Task(**task) for task in _toml("losses").values()]


def weightings() -> dict[str, str]:
    """Return when to choose each weighting."""
    return _toml("weightings")


def unlisted() -> list[str]:
    """Return the names of this repository that are not in the tables, and those in vain there."""
    losses = {name for task in tasks() for name in task.names}
    known = (
        {entry.name for entry in own_entries("losses")},
        {entry.name for entry in own_entries("weightings")},
    )
    return sorted(losses ^ known[0]) + sorted(set(weightings()) ^ known[1])


def build() -> Files:
    """Return the page."""
    return {"docs/choose_loss.md": "\n\n".join(_parts())}


def _parts() -> Iterator[str]:
    losses = {entry.name: entry for entry in own_entries("losses")}
    yield INTRO.strip()
    rows = [
        (
            task.predict,
            f"[{task.title}](#{task.anchor})",
            code(task.first),
            _plugin(losses[task.first]),
        )
        for task in tasks()
    ]
    yield table(("To predict", "Read", "Begin with", "From"), rows)
    for task in tasks():
        yield f"## {task.title}"
        yield task.text
        if task.picture:
            yield f"![{task.caption}](pictures/losses/{task.picture}.svg)\n\n*{task.caption}*"
        rows = [
            (code(name), when, _batch(losses[name], task), _plugin(losses[name]))
            for name, when in task.names.items()
        ]
        yield table(("Name", "Choose it for", "Batch", "From"), rows)
    schemes = {entry.name: entry for entry in own_entries("weightings")}
    yield WEIGHTINGS.strip()
    chosen = [(code(n), when, _plugin(schemes[n])) for n, when in weightings().items()]
    yield table(("Name", "Choose it for", "From"), chosen)


def _batch(entry: Entry, task: Task) -> str:
    """Return the batch that a loss expects, from its summary if that says it."""
    found = _BATCH.search(entry.summary)
    return found[1] if found else task.batch


def _plugin(entry: Entry) -> str:
    name = str(entry.distribution)
    if name == BUILTIN_DISTRIBUTION:
        return "built-in"
    return f"[{name.removeprefix('perceptrain-')}](plugins/{name}.md)"


def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads((_HERE / f"{name}.toml").read_text())
