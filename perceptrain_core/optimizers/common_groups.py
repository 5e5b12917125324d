"""Groups of parameters that several optimizers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from perceptrain_core.errors import TrainingError

#: The keys of a group that are no options.
NO_OPTIONS = ("params", "param_names")


def common_groups(optimizers: Sequence[Optimizer]) -> list[tuple[list[Tensor], list[Any]]]:
    """Divide parameters so that every group of every optimizer consists of whole groups.

    Args:
        optimizers: Optimizers of the same parameters.

    Returns:
        For each group its parameters, and for each optimizer its options for them.

    Raises:
        TrainingError: The optimizers have different parameters.
    """
    places = [
        {parameter: n for n, group in enumerate(each.param_groups) for parameter in group["params"]}
        for each in optimizers
    ]
    if any(place.keys() != places[0].keys() for place in places):
        raise TrainingError(
            "The optimizers of a sequence have different parameters; create each with all "
            "parameters, or pass their names."
        )
    groups: dict[tuple[int, ...], list[Tensor]] = {}
    for parameter in places[0]:
        groups.setdefault(tuple(place[parameter] for place in places), []).append(parameter)
    return [
        (
            params,
            [options_of(each.param_groups[n]) for each, n in zip(optimizers, key, strict=True)],
        )
        for key, params in groups.items()
    ]


def options_of(group: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a group of parameters."""
    return {key: value for key, value in group.items() if key not in NO_OPTIONS}
