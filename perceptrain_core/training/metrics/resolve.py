"""From what a user passes as metrics to metrics by label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from perceptrain_core.errors import ConfigError
from perceptrain_core.metrics import Metric
from perceptrain_core.registry import get_metric


def resolve_metrics(metrics: Any) -> dict[str, Metric]:
    """Return the metrics by label.

    Args:
        metrics: ``None``; a list of metrics, whose labels are their names; or a mapping of labels
            to metrics. Each is a `Metric`, the name of one, or a mapping with a name and options.

    Raises:
        ConfigError: An item is not a metric, two have one label, or a label is not valid.
        RegistryError: A name is unknown, or its options do not fit.
        MissingDependencyError: torchmetrics is not installed, and a metric needs it.
    """
    found: dict[str, Metric] = {}
    for label, item in _labelled(metrics):
        if not isinstance(label, str) or not label or label == "loss":
            raise ConfigError(
                f'The label of a metric is {label!r}; expected text other than "loss".'
            )
        if label in found:
            raise ConfigError(
                f"Two metrics are named {label!r}. Pass a mapping that names each: "
                f'metrics={{"{label}": ..., "{label}_2": ...}}.'
            )
        found[label] = _as_metric(label, item)
    return found


def _labelled(metrics: Any) -> Iterable[tuple[Any, Any]]:
    if metrics is None:
        return ()
    if isinstance(metrics, Mapping):
        return metrics.items()
    if isinstance(metrics, list | tuple):
        return _with_labels(metrics)
    raise ConfigError(
        f'metrics={metrics!r:.60}: expected a list, such as ["accuracy", "f1"], or a mapping of '
        'labels to metrics, such as {"f1": {"name": "f1", "average": "macro"}}.'
    )


def _with_labels(metrics: Iterable[Any]) -> Iterator[tuple[str, Any]]:
    for item in metrics:
        name = item.get("name") if isinstance(item, Mapping) else item
        if not isinstance(name, str):
            name = type(item).__name__
            name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
        yield re.split(r"[/:.]", name)[-1], item


def _as_metric(label: str, item: Any) -> Metric:
    if isinstance(item, str | Mapping):
        item = get_metric(item)
    if isinstance(item, type):
        raise ConfigError(
            f"The metric {label!r} is the class {item.__name__}: pass {item.__name__}(...)."
        )
    if isinstance(item, Metric):
        return item
    raise ConfigError(
        f"The metric {label!r} is {item!r:.60}; expected the name of a metric, a mapping with a "
        "name and options, or an object with update(preds, target), compute() and reset()."
    )
