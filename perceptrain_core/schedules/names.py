"""The learning-rate schedulers of torch, by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from perceptrain_core.errors import OptionError, UnknownNameError
from perceptrain_core.suggestions import did_you_mean


@cache
def scheduler_names() -> dict[str, type[LRScheduler]]:
    """Return every scheduler of ``torch.optim.lr_scheduler`` by its name.

    The name is the class name in snake case, without ``LR`` and ``Scheduler``: ``one_cycle``
    is ``OneCycleLR``, ``reduce_on_plateau`` is ``ReduceLROnPlateau``.
    """
    return {
        _snake_case(name): item
        for name, item in sorted(vars(lr_scheduler).items())
        if isinstance(item, type) and issubclass(item, LRScheduler) and item is not LRScheduler
        if not name.startswith("_")
    }


def scheduler_class(name: str) -> type[LRScheduler]:
    """Find a scheduler by its name or its class name.

    Raises:
        UnknownNameError: torch has no scheduler of this name.
    """
    names = scheduler_names()
    scheduler = names.get(name) or {item.__name__: item for item in names.values()}.get(name)
    if scheduler is None:
        raise UnknownNameError(
            f"There is no learning-rate scheduler {name!r}.{did_you_mean(_snake_case(name), names)}"
            f" The schedulers of torch are: {', '.join(names)}; pass any other as a reference, "
            "'package.module:attribute'."
        )
    return scheduler


def split_scheduler(setting: Any) -> tuple[Any, dict[str, Any]]:
    """Split a scheduler setting into its name, class or function, and its options.

    Raises:
        OptionError: The setting is not a scheduler.
    """
    name, options = setting, {}
    if isinstance(setting, Mapping) and "name" in setting:
        options = {key: value for key, value in setting.items() if key != "name"}
        name = setting["name"]
    if isinstance(name, str) or callable(name):
        return name, options
    raise OptionError(
        f"{setting!r:.60} is not a learning-rate scheduler: pass a name, a mapping with a 'name' "
        "and options, a reference 'package.module:attribute', or a function f(optimizer) that "
        "returns a scheduler."
    )


def check_scheduler_names(setting: Any) -> None:
    """Refuse unknown names, also among the parts of a combined scheduler.

    References, which contain a colon, are not loaded.

    Raises:
        UnknownNameError: torch has no scheduler of this name.
        OptionError: A setting does not name a scheduler.
    """
    name, options = split_scheduler(setting)
    if isinstance(name, str) and ":" not in name:
        scheduler_class(name)
    for part in scheduler_parts(options):
        check_scheduler_names(part)


def scheduler_parts(options: Mapping[str, Any]) -> list[Any]:
    """Return the option ``schedulers`` of a combined scheduler; empty for any other.

    Raises:
        OptionError: It is not a list.
    """
    parts = options.get("schedulers", ())
    if isinstance(parts, list | tuple):
        return list(parts)
    raise OptionError(f"schedulers must be a list of names or mappings, not {parts!r:.60}.")


def _snake_case(name: str) -> str:
    plain = name.replace("LR", "").removesuffix("Scheduler")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain).lower()
