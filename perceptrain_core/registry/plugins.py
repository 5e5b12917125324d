"""Records of plugins: where each one comes from, and whether it loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from perceptrain_core.registry.entries import Entry

Status = Literal["ok", "failed", "blocked"]

#: Libraries that are slow to import: the module with a plugin's hooks must not import them.
HEAVY = frozenset(
    ("PIL", "jax", "matplotlib", "numba", "numpy", "pandas", "pydantic", "scipy", "sklearn")
) | {"tensorflow", "torch"}


class Source(NamedTuple):
    """Where a plugin comes from: one entry point of one distribution.

    Attributes:
        distribution: The normalized name of the distribution.
        version: Its version.
        name: The name of the entry point.
        module: ``"package"`` or ``"package.module:attribute"``.
        error: What is wrong with the metadata, if anything.
    """

    distribution: str
    version: str | None = None
    name: str = ""
    module: str = ""
    error: str | None = None


class Plugin(NamedTuple):
    """A plugin, whether it works or not.

    Attributes:
        distribution: The normalized name of the distribution.
        version: Its version, if it has one.
        module: The module with the hooks, as the entry point names it.
        status: ``"ok"``, ``"failed"`` or ``"blocked"``. A failed plugin still offers what its
            other hooks returned.
        error: Why it failed or is blocked, in one line.
        import_ms: How long its import took, in milliseconds.
        provides: Its entries by the plural of their kind, ``{"losses": (...)}``.
        heavy: The slow libraries that it imports when it loads, which slow down every listing.
    """

    distribution: str
    version: str | None
    module: str
    status: Status
    error: str | None = None
    import_ms: float = 0.0
    provides: Mapping[str, tuple[Entry, ...]] = MappingProxyType({})
    heavy: tuple[str, ...] = ()

    @property
    def trouble(self) -> str:
        """Why the plugin failed or is blocked, as one line for error messages."""
        version = f" {self.version}" if self.version else ""
        state = "is blocked" if self.status == "blocked" else "failed"
        return f"The plugin {self.distribution}{version} {state}: {self.error}"

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield each name that it provides, as a pair of the plural of the kind and the name."""
        for plural, entries in self.provides.items():
            for entry in entries:
                yield plural, entry.name
