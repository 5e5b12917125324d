"""``perceptrain list-losses`` and its likes: one command for each kind of thing that has names."""

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
    """Make the command that lists one kind of thing."""

    def listing(
        pattern: Annotated[
            str | None,
            typer.Argument(
                help="Only those that match, in any case: a glob such as 'a*' for the name, or a "
                "part of the name or the summary. None that does: exit code 1.",
                metavar="PATTERN",
                show_default=False,
            ),
        ] = None,
        distribution: Annotated[
            str | None,
            typer.Option("--from", help="Only those of this distribution.", metavar="DISTRIBUTION"),
        ] = None,
        json: Json = False,
    ) -> None:
        entries: Mapping[str, Entry] = load_registry().catalogue(kind.plural)
        if distribution is not None:
            own = installed(distribution)
            entries = {name: e for name, e in entries.items() if e.distribution == own}
        found = {name: entry for name, entry in entries.items() if _matches(entry, pattern)}
        if json:
            output.write_json([described(name, entry) for name, entry in found.items()])
        elif found:
            rows = [(name, origin(entry), entry.summary) for name, entry in found.items()]
            output.write_table(("NAME", "FROM", "SUMMARY"), rows)
        if not found:
            output.note(_nothing(kind, pattern, entries, distribution))
            asked = pattern is not None or distribution is not None
            raise typer.Exit(output.FAILED if asked else output.GOOD)

    listing.__doc__ = f"List the {kind.plural} that are installed."
    return listing


def load_registry() -> Registry:
    """Load all plugins; each that failed is a line on stderr."""
    from perceptrain_core.registry import registry

    with output.foreign_code():
        plugins = registry().plugins
    for plugin in plugins:
        if plugin.status == "failed":
            output.note(f"Warning: {plugin.trouble}")
    return registry()


def origin(entry: Entry) -> str:
    """Who supplies it: the distribution and its version."""
    return " ".join(filter(None, (entry.distribution, entry.version)))


def described(name: str, entry: Entry) -> dict[str, Any]:
    """The JSON of an entry, under the name to use for it."""
    return {
        "name": name,
        "qualified_name": entry.qualified_name,
        "summary": entry.summary,
        "distribution": entry.distribution,
        "version": entry.version,
        "target": target_text(entry),
    }


def target_text(entry: Entry) -> str:
    """Where the target is, in the form of a reference."""
    target = entry.target
    if isinstance(target, str):
        return target
    named = target if hasattr(target, "__qualname__") else type(target)
    return f"{named.__module__}:{named.__qualname__}"


def installed(distribution: str) -> str:
    """Give the one spelling of the name of a plugin that is installed, or raise."""
    from perceptrain_core.registry import registry
    from perceptrain_core.registry.messages import did_you_mean, listed
    from perceptrain_core.registry.selection import normalised

    wanted = normalised(distribution)
    known = sorted({plugin.distribution for plugin in registry().plugins})
    if wanted not in known:
        raise UnknownNameError(
            f"No plugin {distribution!r} is installed.{did_you_mean(wanted, known)} "
            f"Installed plugins: {listed(known)}."
        )
    return wanted


def _matches(entry: Entry, pattern: str | None) -> bool:
    if pattern is None:
        return True
    wanted = pattern.lower()
    if any(character in wanted for character in "*?["):
        from fnmatch import fnmatchcase

        return any(fnmatchcase(name, wanted) for name in (entry.name, entry.qualified_name))
    return any(wanted in text.lower() for text in (entry.qualified_name, entry.summary))


def _nothing(
    kind: Kind, pattern: str | None, entries: Mapping[str, Entry], distribution: str | None
) -> str:
    if not entries and distribution:
        from perceptrain_core.registry import registry

        own = [p for p in registry().plugins if p.distribution == installed(distribution)]
        troubles = [plugin.trouble for plugin in own if plugin.status != "ok"]
        return "\n".join(troubles) or f"{distribution} offers no {kind.plural}."
    if not entries:
        return f"No {kind.plural} are installed."
    from perceptrain_core.registry.messages import did_you_mean

    whose, option = (f" of {distribution}", f" --from {distribution}") if distribution else ("", "")
    return (
        f"No {kind.singular}{whose} matches {pattern!r}."
        f"{did_you_mean((pattern or '').strip('*?'), entries)} "
        f"'perceptrain list-{kind.plural}{option}' lists all {len(entries)}."
    )
