"""``perceptrain list-losses``, ``list-models`` and so on: one command for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perceptrain_core.cli import output
from perceptrain_core.errors import UnknownNameError

if TYPE_CHECKING:
    from perceptrain_core.registry import Entry, Kind, Registry

Json = Annotated[bool, typer.Option("--json", help="Write JSON instead of a table.")]


def listing_of(kind: Kind) -> Callable[..., None]:
    """Return the command that lists the names of one kind."""

    def listing(
        pattern: Annotated[
            str | None,
            typer.Argument(
                help="Part of a name or summary, or a glob for the name such as 'a*'; case is "
                "ignored. The exit code is 1 if nothing matches.",
                metavar="PATTERN",
                show_default=False,
            ),
        ] = None,
        distribution: Annotated[
            str | None,
            typer.Option(
                "--from", help="List only what this plugin offers.", metavar="DISTRIBUTION"
            ),
        ] = None,
        json: Json = False,
    ) -> None:
        entries: Mapping[str, Entry] = load_registry().catalogue(kind.plural)
        if distribution is not None:
            own = installed(distribution)
            entries = {name: e for name, e in entries.items() if e.distribution == own}
        matches = {name: entry for name, entry in entries.items() if _matches(entry, pattern)}
        if json:
            output.write_json([described(name, entry) for name, entry in matches.items()])
        elif matches:
            rows = [(name, origin(entry), entry.summary) for name, entry in matches.items()]
            output.write_table(("NAME", "FROM", "SUMMARY"), rows)
        if not matches:
            output.note(_no_matches(kind, pattern, entries, distribution))
            filtered = pattern is not None or distribution is not None
            raise typer.Exit(output.FAILED if filtered else output.GOOD)

    listing.__doc__ = f"List all {kind.plural}, built-in and from plugins."
    return listing


def load_registry() -> Registry:
    """Load all plugins, with one warning on stderr for each that failed."""
    from perceptrain_core.registry import registry

    with output.foreign_code():
        plugins = registry().plugins
    for plugin in plugins:
        if plugin.status == "failed":
            output.note(f"Warning: {plugin.trouble}")
    return registry()


def origin(entry: Entry) -> str:
    """Return the distribution that offers an entry, with its version."""
    return " ".join(filter(None, (entry.distribution, entry.version)))


def described(name: str, entry: Entry) -> dict[str, Any]:
    """Return the JSON object of an entry, under the name that a listing shows."""
    return {
        "name": name,
        "qualified_name": entry.qualified_name,
        "summary": entry.summary,
        "distribution": entry.distribution,
        "version": entry.version,
        "target": target_text(entry),
    }


def target_text(entry: Entry) -> str:
    """Return the target as a reference."""
    target = entry.target
    if isinstance(target, str):
        return target
    definition = target if hasattr(target, "__qualname__") else type(target)
    return f"{definition.__module__}:{definition.__qualname__}"


def installed(distribution: str) -> str:
    """Return the normalized name of an installed plugin; raise if it is not installed."""
    from perceptrain_core.registry import registry
    from perceptrain_core.registry.messages import not_installed, sentence
    from perceptrain_core.registry.selection import normalized

    wanted = normalized(distribution)
    known = {plugin.distribution for plugin in registry().plugins}
    if wanted not in known:
        raise UnknownNameError(sentence(not_installed([distribution], known)))
    return wanted


def _matches(entry: Entry, pattern: str | None) -> bool:
    if pattern is None:
        return True
    wanted = pattern.lower()
    if any(character in wanted for character in "*?["):
        from fnmatch import fnmatchcase

        return any(fnmatchcase(name, wanted) for name in (entry.name, entry.qualified_name))
    return any(wanted in text.lower() for text in (entry.qualified_name, entry.summary))


def _no_matches(
    kind: Kind, pattern: str | None, entries: Mapping[str, Entry], distribution: str | None
) -> str:
    if not entries and distribution:
        from perceptrain_core.registry import registry

        own = [p for p in registry().plugins if p.distribution == installed(distribution)]
        troubles = [plugin.trouble for plugin in own if plugin.status != "ok"]
        return "\n".join(troubles) or f"{distribution} offers no {kind.plural}."
    if not entries:
        return f"No {kind.plural} are installed."
    from perceptrain_core.suggestions import did_you_mean

    whose, option = (f" of {distribution}", f" --from {distribution}") if distribution else ("", "")
    return (
        f"No {kind.singular}{whose} matches {pattern!r}."
        f"{did_you_mean((pattern or '').strip('*?'), entries)} "
        f"'perceptrain list-{kind.plural}{option}' lists all {len(entries)}."
    )
