"""docs/plugin_directory.md: what each plugin of this repository offers."""

from __future__ import annotations

from collections.abc import Iterator

from pages.files import Files
from pages.first_party import FirstParty, first_party
from pages.markdown import code, sentence, table
from pages.plugin_pages import picture_name
from perceptrain_core.registry import kind_of

INTRO = """
# Directory of plugins

The plugins of this project. Each is a distribution of its own: install it, and its names work
everywhere, in Python, in run files and on the command line. `perceptrain plugins --available`
lists those that are not installed.
"""


def build() -> Files:
    """Return the page."""
    rows = [
        (f"[{plugin.name.removeprefix('perceptrain-')}](#{plugin.name})", _counts(plugin))
        for plugin in first_party()
    ]
    parts = [INTRO.strip(), table(("Plugin", "Offers"), rows)]
    for plugin in first_party():
        parts += _section(plugin)
    return {"docs/plugin_directory.md": "\n\n".join(parts)}


def _counts(plugin: FirstParty) -> str:
    counts = {kind: len(entries) for kind, entries in plugin.provides.items()}
    return ", ".join(
        f"{number} {kind_of(kind).singular if number == 1 else kind}"
        for kind, number in counts.items()
    ).replace("dataset", "data set")


def title(kind: str) -> str:
    """Return the plural of a kind as a title."""
    return "Data sets" if kind == "datasets" else kind.capitalize()


def _section(plugin: FirstParty) -> Iterator[str]:
    page = f"plugins/{plugin.name}.md"
    yield f"## {plugin.name}"
    yield f"{sentence(plugin.description)} [Read more]({page})."
    if plugin.picture:
        text, path = plugin.picture
        yield f"[![{text}](plugins/{picture_name(plugin, path)})]({page})"
    yield f"```bash\npip install {plugin.name}\n```"
    rows = [(title(kind), _names(plugin, kind)) for kind in plugin.provides]
    rows.append(("Requires", ", ".join(map(code, plugin.requirements))))
    if plugin.extras:
        rows.append(("Extras", ", ".join(map(code, plugin.extras))))
    yield table(("Offers", ""), rows)


def _names(plugin: FirstParty, kind: str) -> str:
    return ", ".join(code(entry.name) for entry in plugin.provides[kind])
