"""Load one plugin: call its hooks, and record what they offer or why they failed.

Hooks are called one by one, so that a failing hook does not affect the others.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from types import ModuleType

import pluggy

from perceptrain_core.errors import InvalidSpecError
from perceptrain_core.registry.entries import Entry
from perceptrain_core.registry.faults import import_fault, no_hooks, reason
from perceptrain_core.registry.hookspecs import HOOKSPECS, PROJECT
from perceptrain_core.registry.kinds import HOOKS, Kind
from perceptrain_core.registry.plugins import HEAVY, Plugin, Source, Status
from perceptrain_core.registry.specs import Spec
from perceptrain_core.suggestions import did_you_mean


def load_plugin(source: Source, taken: Collection[tuple[str, str]] = ()) -> Plugin:
    """Import a plugin and call its hooks; failures are recorded, not raised.

    Args:
        source: Where it comes from.
        taken: The names that earlier entry points of its distribution offer, as pairs of the
            plural of the kind and the name. Offering one again is an error.

    Returns:
        The record of the plugin.
    """
    if source.error:
        return refused_plugin(source, source.error)
    before = HEAVY & sys.modules.keys()
    plugin = _load(source, taken)
    heavy = (HEAVY & sys.modules.keys()) - before
    if before:  # already imported, so look for them in the module instead
        heavy |= before & _libraries_of(source.module)
    return plugin._replace(heavy=tuple(sorted(heavy)))


def _libraries_of(module: str) -> set[str]:
    """Return the top-level packages whose modules or objects a module has as attributes."""
    own = vars(sys.modules.get(module.partition(":")[0], object)).values()
    names = (getattr(v, "__name__" if inspect.ismodule(v) else "__module__", None) for v in own)
    return {name.partition(".")[0] for name in names if isinstance(name, str)}


def _load(source: Source, taken: Collection[tuple[str, str]]) -> Plugin:
    start = time.perf_counter()
    try:
        namespace = _import(source.module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _record(source, {}, [import_fault(source, error)], _since(start))
    return read_plugin(source, namespace, taken, _since(start))


def refused_plugin(source: Source, reason: str, *, blocked: bool = False) -> Plugin:
    """Return the record of a plugin that is not imported."""
    status: Status = "blocked" if blocked else "failed"
    return Plugin(source.distribution, source.version, source.module, status, reason)


def read_plugin(
    source: Source,
    namespace: object,
    taken: Collection[tuple[str, str]] = (),
    import_ms: float = 0.0,
) -> Plugin:
    """Call the hooks of a module or object, as `load_plugin` does.

    Args:
        source: Where it comes from.
        namespace: The module or object with the hooks.
        taken: See `load_plugin`.
        import_ms: How long its import took, in milliseconds.

    Returns:
        The record of the plugin.
    """
    names = set(taken)
    provides: dict[str, tuple[Entry, ...]] = {}
    errors: list[str] = []
    try:
        hooks = list(_hooks(namespace))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _record(source, {}, [reason(source, error)], import_ms)
    for attribute, hook in hooks:
        try:
            kind = _kind(hook)
            specs = _call_hook(namespace, attribute, kind)
            names |= _new_names(kind, specs, names)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            errors.append(f"{attribute}: {reason(source, error)}")
        else:
            entries = tuple(_entry(source, kind, spec) for spec in specs)
            provides[kind.plural] = provides.get(kind.plural, ()) + entries
    if not hooks:
        errors.append(no_hooks(source, namespace))
    return _record(source, provides, errors, import_ms)


def _import(where: str) -> object:
    module, _, attributes = where.partition(":")
    parts = filter(None, attributes.split("."))
    return functools.reduce(getattr, parts, importlib.import_module(module))


@functools.cache
def _manager() -> pluggy.PluginManager:
    """Return the plugin manager of pluggy, in which one hook at a time is registered."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(HOOKSPECS)
    return manager


def _hooks(namespace: object) -> Iterator[tuple[str, str]]:
    """Yield each attribute that is a hook or is named like one, with the name of the hook."""
    for attribute in dir(namespace):
        if attribute.startswith("__"):
            continue
        options = _manager().parse_hookimpl_opts(namespace, attribute)
        if options is not None:
            hook = options.get("specname") or attribute
            if hook in HOOKS or not options.get("optionalhook"):
                yield attribute, hook
        elif attribute in HOOKS:
            yield attribute, attribute


def _kind(hook: str) -> Kind:
    if hook not in HOOKS:
        raise InvalidSpecError(
            f"this hook does not exist.{did_you_mean(hook, HOOKS)} "
            f"The hooks are: {', '.join(HOOKS)}"
        )
    return HOOKS[hook]


def _call_hook(namespace: object, attribute: str, kind: Kind) -> tuple[Spec, ...]:
    """Call one hook through pluggy, which checks its signature."""
    manager = _manager()
    function = getattr(namespace, attribute)
    # pluggy would register every hook of the plugin at once, so this one gets its own namespace.
    single = ModuleType(attribute)
    setattr(single, attribute, function)
    if manager.parse_hookimpl_opts(single, attribute) is None:
        raise InvalidSpecError("it is not marked as a hook: decorate it with @hookimpl")
    try:
        manager.register(single)
    except pluggy.PluginValidationError as error:
        raise InvalidSpecError(
            f"its signature {inspect.signature(function)} is wrong: "
            f"the hooks ({', '.join(HOOKS)}) take no arguments"
        ) from error
    try:
        results = getattr(manager.hook, kind.hook)()
    finally:
        manager.unregister(single)
    # pluggy leaves out a hook that returned None.
    return _specs(results[0] if results else None)


def _specs(result: object) -> tuple[Spec, ...]:
    if isinstance(result, Spec | str | Mapping) or not isinstance(result, Iterable):
        raise InvalidSpecError(f"it returned {result!r}, not a list of Spec")
    specs = tuple(result)
    for spec in specs:
        if not isinstance(spec, Spec):
            kind = type(result).__name__
            raise InvalidSpecError(f"it returned a {kind} with {spec!r}, which is not a Spec")
    return specs


def _new_names(
    kind: Kind, specs: Iterable[Spec], names: set[tuple[str, str]]
) -> set[tuple[str, str]]:
    new: set[tuple[str, str]] = set()
    for spec in specs:
        name = (kind.plural, spec.name)
        if name in names | new:
            raise InvalidSpecError(f"the name {spec.name!r} is offered twice")
        new.add(name)
    return new


def _entry(source: Source, kind: Kind, spec: Spec) -> Entry:
    return Entry(
        kind,
        spec.name,
        spec.target,
        spec.summary,
        distribution=source.distribution,
        version=source.version,
    )


def _record(
    source: Source, provides: dict[str, tuple[Entry, ...]], errors: list[str], import_ms: float
) -> Plugin:
    return Plugin(
        source.distribution,
        source.version,
        source.module,
        "failed" if errors else "ok",
        "; ".join(errors) or None,
        import_ms,
        provides,
    )


def _since(start: float) -> float:
    return (time.perf_counter() - start) * 1e3
