"""What the name of a metric says: its stage and its validation set."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from perceptrain_core.metrics_file import Row

STAGES = ("train", "val", "test")
_RATE = re.compile(r"(train_)?(lr|learning_rate)(_.*)?")
_WEIGHT = "weight_"


@dataclass(frozen=True)
class Name:
    """The parts of a name.

    Attributes:
        stage: ``"train"``, ``"val"``, ``"test"``, or empty.
        metric: The metric.
        data: The validation set; empty if there is only one.
    """

    stage: str
    metric: str
    data: str = ""


def split_name(name: str, names: Collection[str]) -> Name:
    """Split a name such as ``val_noisy_loss`` into its parts.

    Args:
        name: The name.
        names: All names, which tell ``noisy_loss`` of the set ``noisy`` from a metric.
    """
    stage, _, metric = name.partition("_")
    if stage not in STAGES or not metric:
        return Name("", name)
    if stage == "val" and f"train_{metric}" not in names:
        data, _, rest = metric.partition("_")
        while rest:
            if f"val_{rest}" in names and (f"train_{rest}" in names or f"val_{data}_loss" in names):
                return Name(stage, rest, data)
            more, _, rest = rest.partition("_")
            data += f"_{more}"
    return Name(stage, metric)


def is_weight(metric: str) -> bool:
    """Whether a metric is the weight of a term."""
    return metric.startswith(_WEIGHT)


def is_learning_rate(name: str) -> bool:
    """Whether a name is that of a learning rate."""
    return _RATE.fullmatch(name) is not None


def terms(names: Collection[str], rows: Sequence[Row]) -> list[str]:
    """Return the metrics that are terms of the loss: weighted ones, or those that add up to it."""
    weighted = [n.removeprefix(f"train_{_WEIGHT}") for n in names if n.startswith("train_weight_")]
    if weighted:
        return [metric for metric in weighted if f"train_{metric}" in names]
    others = [n for n in names if n.startswith("train_") and n != "train_loss"]
    if len(others) < 2 or not rows:
        return []
    sums = [(sum(row.get(n, 0.0) for n in others), row.get("train_loss", 0.0)) for row in rows]
    adds_up = all(abs(total - loss) <= 1e-3 * abs(loss) for total, loss in sums)
    return [name.removeprefix("train_") for name in others] if adds_up else []
