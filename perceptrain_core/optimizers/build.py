"""Build an optimizer from its name and options, with groups of parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from perceptrain_core.errors import OptionError
from perceptrain_core.optimizers.combined import CombinedOptimizer
from perceptrain_core.optimizers.groups import parameter_groups
from perceptrain_core.registry import get_optimizer
from perceptrain_core.suggestions import did_you_mean


def build_optimizer(optimizer: Any, model: nn.Module) -> Any:
    """Build the optimizer of a model.

    Args:
        optimizer: A name, a reference, or a mapping ``{"name": ..., **options}``. The option
            ``groups`` is a list of groups, see `parameter_groups`, whose options override those
            of the mapping. A group with the key ``optimizer``, the name of another optimizer, is
            trained by that one, with the options of the group only.
        model: The model.

    Returns:
        The optimizer; a `CombinedOptimizer`, if groups name others.

    Raises:
        RegistryError: A name is unknown, an option does not fit, or a group selects nothing.
        TrainingError: The optimizers cannot be combined.
    """
    if isinstance(optimizer, Mapping) and isinstance(optimizer.get("optimizers"), list | tuple):
        stages = [
            build_optimizer(stage, model) if isinstance(stage, Mapping) else stage
            for stage in optimizer["optimizers"]
        ]
        return get_optimizer({**optimizer, "optimizers": stages}, model.parameters())
    if not isinstance(optimizer, Mapping) or "groups" not in optimizer:
        return get_optimizer(optimizer, model.parameters())
    plain = {key: value for key, value in optimizer.items() if key != "groups"}
    main = str(plain.get("name"))
    by_name: dict[str, list[dict[str, Any]]] = {main: []}
    for group in parameter_groups(model, optimizer["groups"]):
        by_name.setdefault(group.pop("optimizer", main), []).append(group)
    if not by_name[main]:
        raise OptionError(
            f"The groups have all parameters of the model, and none is left for {main!r}: make one "
            "of their optimizers the name, and leave out its groups."
        )
    built = {
        name: _build(name, plain if name == main else {"name": name}, groups)
        for name, groups in by_name.items()
    }
    return built[main] if len(built) == 1 else CombinedOptimizer(built)


def _build(name: str, plain: Mapping[str, Any], groups: list[dict[str, Any]]) -> Optimizer:
    """Build one optimizer, after building one of each group: torch checks no options of groups."""
    for group in groups:
        options = {key: value for key, value in group.items() if key != "params"}
        alone = get_optimizer({**plain, **options}, group["params"])
        if not isinstance(alone, Optimizer):
            raise OptionError(
                f"The optimizer {name!r} is a search, which has no groups of parameters: leave out "
                "groups."
            )
        for key in options.keys() - alone.defaults.keys():
            raise OptionError(
                f"The optimizer {name!r} has no option {key!r} for a group of parameters."
                f"{did_you_mean(key, alone.defaults)} It has {', '.join(alone.defaults)}."
            )
    return get_optimizer(dict(plain), groups)
