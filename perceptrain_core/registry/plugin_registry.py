"""The registry: every name that plugins offer, and the look-up of names."""

from __future__ import annotations

import contextlib
import functools
import importlib
import inspect
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perceptrain_core.errors import InvalidSpecError
from perceptrain_core.registry.catalogue import Catalogue
from perceptrain_core.registry.entries import Entry
from perceptrain_core.registry.kinds import KINDS, Kind, kind_of
from perceptrain_core.registry.loading import load_plugin, read_plugin, refused_plugin
from perceptrain_core.registry.plugins import Plugin, Source
from perceptrain_core.registry.selection import (
    BUILTIN_DISTRIBUTION,
    VARIABLE,
    normalized,
    read_selection,
)
from perceptrain_core.registry.specs import Spec
from perceptrain_core.version import __version__

# Named, not imported: the built-ins are a layer above the registry, and load like any plugin.
_BUILTINS = Source(BUILTIN_DISTRIBUTION, __version__, "builtins", "perceptrain_core.builtins")

#: The distribution of what scripts and notebooks register.
LOCAL = "local"


class Registry:
    """All names that the installed plugins offer.

    Plugins are searched for and imported on first use.

    Args:
        path: The folders in which to search for distributions; by default ``sys.path``.
        environ: The environment variables; by default those of the process.
    """

    # One for each row of KINDS; the properties are added below the class.
    losses: Catalogue
    models: Catalogue
    weightings: Catalogue
    optimizers: Catalogue
    callbacks: Catalogue
    trackers: Catalogue
    metrics: Catalogue
    datasets: Catalogue

    def __init__(
        self,
        path: Sequence[str | os.PathLike[str]] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._path = path
        self._environ = environ
        self._added: dict[str, Plugin] = {}
        self._local: dict[str, dict[str, Entry]] = {kind.plural: {} for kind in KINDS}
        self._healthy: dict[Source, Plugin] = {}
        # By identity: models and losses may define equality, or have no hash.
        self._origins: dict[int, tuple[weakref.ref[object], Entry]] = {}
        self._installed: tuple[Plugin, ...] = ()
        self._stale = True
        self._catalogues: dict[str, Catalogue] = {}

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """All plugins: the built-in one, the installed ones sorted by name, then those added.

        Raises:
            PluginSelectionError: ``PERCEPTRAIN_PLUGINS`` is invalid.
        """
        if self._stale:
            self._installed = self._load_installed()
            self._stale = False
        return (self._builtin, *self._installed, *self._added.values())

    def refresh(self) -> None:
        """Search for installed plugins again, and keep names that were added or registered.

        Imported modules are not reloaded: after an upgrade, start a new process.
        """
        importlib.invalidate_caches()
        self._stale = True
        self._catalogues.clear()

    def catalogue(self, kind: str) -> Catalogue:
        """Return all names of one kind.

        Args:
            kind: ``"loss"`` or ``"losses"``, and so on.

        Returns:
            The entries by name.

        Raises:
            UnknownNameError: There is no such kind.
            PluginSelectionError: ``PERCEPTRAIN_PLUGINS`` is invalid.
        """
        row = kind_of(kind)
        plural = row.plural
        if plural not in self._catalogues:
            plugins = self.plugins
            entries = [entry for plugin in plugins for entry in plugin.provides.get(plural, ())]
            entries += self._local[plural].values()
            self._catalogues[plural] = Catalogue(row, entries, plugins)
        return self._catalogues[plural]

    def entry(
        self, kind: str, name: str, /, *, base: str | os.PathLike[str] | None = None
    ) -> Entry:
        """Return the entry of a name or a reference, without importing its target.

        Args:
            kind: ``"loss"`` or ``"losses"``, and so on.
            name: A short or qualified name, or a reference: ``"package.module:attribute"`` or
                ``"./file.py:attribute"``.
            base: The folder to which the path of a file is relative; by default the working
                directory.

        Returns:
            The entry.

        Raises:
            UnknownNameError: Nothing of this kind has the name.
            AmbiguousNameError: Several plugins offer this short name.
        """
        if ":" in name:
            return Entry(kind_of(kind), name, name, base=base)
        return self.catalogue(kind)[name]

    def get(
        self,
        kind: str,
        value: Any,
        /,
        *args: Any,
        base: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> Any:
        """Resolve a name, with ``args`` and ``options`` spelled out; see `resolve`."""
        return self.resolve(kind, value, args, options, base=base)

    def resolve(
        self,
        kind: str,
        value: Any,
        args: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
        *,
        base: str | os.PathLike[str] | None = None,
    ) -> Any:
        """Look up a name, and build its target with the options.

        Args:
            kind: ``"loss"`` or ``"losses"``, and so on.
            value: A name; a reference; a mapping ``{"name": ..., **options}``; a class or
                function, used like the target of a name; or an object that is already built,
                which is returned unchanged. ``None`` means the default of the kind, if it has one.
            args: The arguments passed before the options: the parameters, for an optimizer.
            options: The options; they override those in the mapping.
            base: The folder to which the path of a file is relative.

        Returns:
            For a loss, a callable ``(batch, model)``; for other kinds, what the target returns.

        Raises:
            UnknownNameError: Nothing of this kind has the name.
            AmbiguousNameError: Several plugins offer this short name.
            OptionError: An option is unknown or missing, or ``value`` has the wrong type.
            TargetError: The target cannot be imported, or does not fit its kind.
        """
        from perceptrain_core.registry.options import build_from_object, split_mapping

        row = kind_of(kind)
        options = options or {}
        if isinstance(value, Mapping):
            value, options = split_mapping(row, value, options)
        if value is None:
            value = row.default
        if not isinstance(value, str):
            return build_from_object(row, value, args, options)
        entry = self.entry(kind, value, base=base)
        built = entry.build(args, options)
        self._remember(built, entry)
        return built

    def add_plugin(self, namespace: object, name: str | None = None) -> Plugin:
        """Add a module or object with hooks as a plugin, without a distribution.

        Args:
            namespace: The module or object.
            name: The first part of its qualified names, before the slash; by default the name
                of the module or class. Adding a plugin again under this name replaces it.

        Returns:
            Its record, whose ``status`` and ``error`` show whether the hooks worked.

        Raises:
            InvalidSpecError: An installed distribution has the name.
        """
        name = normalized(name or _name_of(namespace))
        installed = {plugin.distribution for plugin in self.plugins} - self._added.keys()
        if name in installed | {LOCAL}:
            raise InvalidSpecError(
                f"The name {name!r} belongs to another plugin: pass add_plugin(..., name=...)."
            )
        plugin = read_plugin(Source(name, module=_name_of(namespace)), namespace)
        self._added[name] = plugin
        self._catalogues.clear()
        return plugin

    def register(
        self, kind: str, name: str, target: Callable[..., Any], summary: str = ""
    ) -> Entry:
        """Register a class or function as ``local/NAME``, without searching for plugins.

        Args:
            kind: ``"loss"`` or ``"losses"``, and so on.
            name: Its short name. Registering a name again replaces it.
            target: The class or function.
            summary: One line for the listings; by default the first line of its docstring.

        Returns:
            Its entry.

        Raises:
            InvalidSpecError: The name is invalid, or belongs to a built-in.
        """
        row = kind_of(kind)
        spec = Spec(name, target, summary or _first_line(target))
        if (row.plural, name) in self._builtin.names():
            raise InvalidSpecError(
                f"The {row.singular} {name!r} is a built-in and keeps its name: choose another."
            )
        entry = Entry(row, name, target, spec.summary, distribution=LOCAL)
        self._local[row.plural][name] = entry
        self._catalogues.pop(row.plural, None)
        return entry

    def origin(self, thing: object) -> Entry | None:
        """Return the entry that an object came from.

        Args:
            thing: A function or object that a look-up returned.

        Returns:
            Its entry; ``None`` for an object that did not come from a look-up, or that does not
            support weak references.
        """
        reference, entry = self._origins.get(id(thing), (None, None))
        return entry if reference is not None and reference() is thing else None

    def _remember(self, thing: object, entry: Entry) -> None:
        key = id(thing)
        with contextlib.suppress(TypeError):  # it has no weak references
            reference = weakref.ref(thing, lambda _: self._origins.pop(key, None))
            self._origins[key] = (reference, entry)

    @functools.cached_property
    def _builtin(self) -> Plugin:
        return load_plugin(_BUILTINS)

    def _load_installed(self) -> tuple[Plugin, ...]:
        # Imported here: it takes 10 ms, and plugins import this package only for Spec.
        from perceptrain_core.registry.discovery import find_sources

        selection = read_selection(os.environ if self._environ is None else self._environ)
        sources = find_sources(self._path, {BUILTIN_DISTRIBUTION, LOCAL, *self._added})
        selection.check({source.distribution for source in sources})
        reason = f"{VARIABLE}={selection.shown} excludes it"
        plugins = []
        taken: dict[str, set[tuple[str, str]]] = {}
        for source in sources:
            if not selection.allows(source.distribution):
                plugins.append(refused_plugin(source, reason, blocked=True))
                continue
            plugin = self._load(source, taken.setdefault(source.distribution, set()))
            taken[source.distribution].update(plugin.names())
            plugins.append(plugin)
        return tuple(plugins)

    def _load(self, source: Source, taken: set[tuple[str, str]]) -> Plugin:
        # Reuse plugins that loaded, so that their imported targets survive a refresh.
        plugin = self._healthy.get(source) or load_plugin(source, taken)
        if plugin.status == "ok":
            self._healthy[source] = plugin
        return plugin


def _names_of(kind: Kind) -> property:
    return property(
        lambda registry: registry.catalogue(kind.plural), doc=f"The {kind.plural}, by name."
    )


for _kind in KINDS:
    setattr(Registry, _kind.plural, _names_of(_kind))


def _name_of(namespace: object) -> str:
    return str(getattr(namespace, "__name__", type(namespace).__name__))


def _first_line(target: Callable[..., Any]) -> str:
    # Other objects, such as functools.partial, have the docstring of their class.
    if not (inspect.isclass(target) or inspect.isroutine(target)):
        return ""
    return (target.__doc__ or "").strip().partition("\n")[0]
