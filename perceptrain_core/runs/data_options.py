"""What the data set of a run decides about other options of the run file."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from perceptrain_core.errors import ConfigError
from perceptrain_core.registry import registry
from perceptrain_core.registry.messages import listed
from perceptrain_core.runs.data_paths import options_with_paths
from perceptrain_core.runs.tables import DataTable, Named

#: The option of a data set, a loss or a metric for a label that is not a class.
IGNORED = "ignore_index"


def with_found_options(table: DataTable) -> DataTable:
    """Return the table ``[data]`` with the options that its data set found in the data.

    A data set whose options follow from its files, as the values of masks do, has a method
    ``complete_options(**options)``, which returns the options that it found. They are saved with
    the run, so that other data are read in the same way.
    """
    if table.name is None:
        return table
    complete = getattr(registry().entry("dataset", table.name).load(), "complete_options", None)
    if complete is None:
        return table
    return table.model_copy(update=dict(complete(**options_with_paths(table))))


def ignored_label(table: DataTable) -> int | None:
    """Return the label that the data set does not count as a class, its ``ignore_index``."""
    label = table.options.get(IGNORED)
    return label if isinstance(label, int) else None


def loss_that_ignores(table: Named, label: int | None) -> Named:
    """Return the table of a loss, with ``ignore_index`` as in ``[data]``.

    Args:
        table: The table. A loss inside another one, its option ``loss``, gets the option too.
        label: The label of pixels without a class, if there are any.

    Raises:
        ConfigError: The loss has no such option, or has another label there.
    """
    return _ignoring("loss", table, label)


def metric_that_ignores(table: Named, label: int | None) -> Named:
    """Return the table of a metric, with ``ignore_index`` as in ``[data]``.

    Args:
        table: The table.
        label: The label of pixels without a class, if there are any.

    Raises:
        ConfigError: The metric has no such option, or has another label there.
    """
    return _ignoring("metric", table, label)


def _ignoring(kind: str, table: Named, label: int | None) -> Named:
    if label is None:
        return table
    return table.model_copy(update=_options(kind, table.name, table.options, label))


def _options(kind: str, name: str, options: dict[str, Any], label: int) -> dict[str, Any]:
    accepted = _parameters(kind, name)
    if IGNORED in accepted:
        given = options.get(IGNORED, label)
        if given != label:
            raise ConfigError(
                f"{name} has {IGNORED} = {given!r}, and [data] has {IGNORED} = {label}: leave it "
                "out here, and it is that of the data."
            )
        return {**options, IGNORED: label}
    if kind == "loss" and "loss" in accepted:
        given = options.get("loss", accepted["loss"].default)
        inner = {"name": given} if isinstance(given, str) else dict(given)
        own = inner.pop("name")
        return {**options, "loss": {"name": own, **_options(kind, own, inner, label)}}
    raise ConfigError(
        f"{name} has no option {IGNORED}, and [data] has {IGNORED} = {label}: its labels {label} "
        f"would count as a class. {_advice(kind, name)}"
    )


def _advice(kind: str, name: str) -> str:
    """Name what the same plugin has instead."""
    registered, owner = registry(), registry().entry(kind, name).distribution
    entries = registered.catalogue(kind).items() if owner else ()
    others = [
        other
        for other, entry in entries
        if entry.distribution == owner and IGNORED in _parameters(kind, other)
    ]
    instead = f", such as {listed(others)}" if others else ""
    return f"Use a {kind} that has this option{instead}."


def _parameters(kind: str, name: str) -> Mapping[str, inspect.Parameter]:
    signature = registry().entry(kind, name).signature()
    return {} if signature is None else signature.parameters
