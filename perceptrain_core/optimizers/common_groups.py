"""Groups of parameters that several optimizers have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from perceptrain_core.errors import TrainingError
from perceptrain_core.schedules.rates import set_rate

#: What schedules of torch keep in a group.
_OF_SCHEDULES = ("initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum")


def common_groups(optimizers: Sequence[Optimizer]) -> list[list[Tensor]]:
    """Divide parameters so that every group of every optimizer consists of whole groups.

    Args:
        optimizers: Optimizers of the same parameters.

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
    return list(groups.values())


def has_groups(optimizer: Optimizer, groups: list[list[Tensor]]) -> bool:
    """Whether an optimizer has just these groups of parameters."""
    own = [list(map(id, group["params"])) for group in optimizer.param_groups]
    return own == [list(map(id, group)) for group in groups]


def divided(given: Sequence[dict[str, Any]], groups: list[list[Tensor]]) -> list[dict[str, Any]]:
    """Return groups of parameters with the options of the given ones, of which they are parts."""
    owners = {id(p): group for group in given for p in group["params"]}
    plain = [{k: v for k, v in owners[id(g[0])].items() if k != "param_names"} for g in groups]
    return [options | {"params": group} for options, group in zip(plain, groups, strict=True)]


def add_rates(optimizers: Sequence[Optimizer]) -> None:
    """Give each group a rate, for schedules, if another optimizer has one; it has no effect."""
    for groups in zip(*(each.param_groups for each in optimizers), strict=True):
        rates = [group["lr"] for group in groups if "lr" in group]
        for group in groups if rates else ():
            group.setdefault("lr", rates[0])


def hand_over_schedule(before: dict[str, Any], group: dict[str, Any]) -> None:
    """Carry a learning-rate schedule over to the next optimizer.

    A schedule that multiplies a base rate, which it keeps as ``"initial_lr"``, multiplies that of
    the next optimizer by the same factor. One that sets rates of its own (``OneCycleLR``) goes on
    with these.

    Args:
        before: A group of the optimizer before.
        group: The same parameters in the next one.
    """
    group.update({name: before[name] for name in _OF_SCHEDULES if name in before})
    if "max_momentum" in before:
        for name in {"momentum", "betas"} & before.keys():
            group.setdefault(name, before[name])
    if "max_lr" in before:
        set_rate(group, before["lr"])
    elif base := float(before.get("initial_lr", 0)):
        group["initial_lr"] = float(group["lr"])
        set_rate(group, group["initial_lr"] * (float(before["lr"]) / base))
    elif "initial_lr" in before:
        group["initial_lr"] = float(group["lr"])
