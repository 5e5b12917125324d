"""``perceptrain plugins``: the installed plugins, what they offer, and which failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from perceptrain_core.cli import output
from perceptrain_core.cli.listing import Json, installed, target_text

if TYPE_CHECKING:
    from perceptrain_core.registry import Plugin


def plugins(
    distribution: Annotated[
        str | None,
        typer.Argument(help="Show only this plugin, with all its names.", show_default=False),
    ] = None,
    json: Json = False,
    not_installed: Annotated[
        bool,
        typer.Option("--available", help="List the known plugins that are not installed instead."),
    ] = False,
) -> None:
    """List the installed plugins. The exit code is 1 if one failed to load."""
    from perceptrain_core.registry import registry

    with output.foreign_code():
        shown = list(registry().plugins)
    if not_installed:
        _write_available({plugin.distribution for plugin in shown}, distribution, json)
        return
    if distribution is not None:
        wanted = installed(distribution)
        shown = [plugin for plugin in shown if plugin.distribution == wanted]
    if json:
        output.write_json([_facts(plugin) for plugin in shown])
    else:
        headers = ("DISTRIBUTION", "VERSION", "STATUS", "IMPORT", "PROVIDES")
        output.write_table(headers, map(_row, shown))
        if distribution is not None:
            _write_names(shown)
    if any(plugin.status == "failed" for plugin in shown):
        raise typer.Exit(output.FAILED)


def _write_available(installed: set[str], distribution: str | None, json: bool) -> None:
    """Write the known plugins that are not installed, or only one of them."""
    from perceptrain_core.registry.available import available, how_to_install
    from perceptrain_core.registry.selection import normalized

    found = available(installed)
    if distribution is not None:
        found = [each for each in found if each.distribution == normalized(distribution)]
    if json:
        output.write_json([each._asdict() for each in found])
        return
    for each in found:
        print(each.distribution)
        output.write_text(f"    {each.description}")
        for plural, names in each.provides.items():
            output.write_text(f"    {plural}: {', '.join(names)}")
        print(f"    {how_to_install(each.distribution)}\n")
    if not found:
        output.note(
            "All known plugins are installed."
            if distribution is None
            else f"No known plugin {distribution!r} is missing."
        )


def _write_names(plugins: list[Plugin]) -> None:
    """Write the name, target and summary of everything that plugins offer."""
    from perceptrain_core.registry import KINDS, registry

    own = {entry for plugin in plugins for group in plugin.provides.values() for entry in group}
    rows = [
        (kind.singular, name, target_text(entry), entry.summary)
        for kind in KINDS
        for name, entry in registry().catalogue(kind.plural).items()
        if entry in own
    ]
    if rows:
        print()
        output.write_table(("KIND", "NAME", "TARGET", "SUMMARY"), rows)


def _facts(plugin: Plugin) -> dict[str, Any]:
    return {
        "distribution": plugin.distribution,
        "version": plugin.version,
        "module": plugin.module,
        "status": plugin.status,
        "error": plugin.error,
        "import_ms": round(plugin.import_ms, 2),
        "heavy": list(plugin.heavy),
        "provides": {
            plural: [entry.name for entry in entries] for plural, entries in plugin.provides.items()
        },
    }


def _row(plugin: Plugin) -> tuple[str, ...]:
    imported = f"{plugin.import_ms:.1f} ms" if plugin.import_ms else "-"
    counts = ", ".join(_count(plural, len(entries)) for plural, entries in plugin.provides.items())
    heavy = f"imports {', '.join(plugin.heavy)}" if plugin.heavy else ""
    provides = "; ".join(filter(None, (counts, heavy, plugin.error))) or "nothing"
    return plugin.distribution, plugin.version or "-", plugin.status, imported, provides


def _count(plural: str, number: int) -> str:
    from perceptrain_core.registry import kind_of

    return f"{number} {kind_of(plural).singular if number == 1 else plural}"
