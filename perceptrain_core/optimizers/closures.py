"""Which optimizers evaluate the loss themselves, by calling a closure."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from torch.optim import Optimizer


def stages_of(optimizer: Any) -> list[Any]:
    """Return the optimizers that take its steps, one after the other; mostly it is the only one.

    An optimizer with several has an attribute ``stages``.
    """
    return list(getattr(optimizer, "stages", [optimizer]))


def needs_closure(optimizer: Optimizer) -> bool:
    """Whether the next ``step`` of an optimizer requires a closure.

    An optimizer whose answer changes has an attribute ``needs_closure``; for others the signature
    of ``step`` decides.
    """
    own = getattr(optimizer, "needs_closure", None)
    return _class_needs_closure(type(optimizer)) if own is None else bool(own)  # type: ignore[arg-type]


def may_need_closure(optimizer: Optimizer) -> bool:
    """Whether an optimizer requires a closure now, or may require one later in the run."""
    stages = stages_of(optimizer)
    if stages != [optimizer]:
        return any(map(may_need_closure, stages))
    return hasattr(optimizer, "needs_closure") or needs_closure(optimizer)


def handles_trials(optimizer: Any) -> bool:
    """Whether an optimizer deals with trial points at which the loss raises or is not finite.

    It has a true attribute ``handles_trials``. A loss that is NaN is a step too long for it; if the
    closure raises, it restores parameters and state that belong together.
    """
    return bool(getattr(optimizer, "handles_trials", False))


# By class, because a torch scheduler replaces the ``step`` of its optimizer by a wrapper.
@cache
def _class_needs_closure(optimizer_type: type[Optimizer]) -> bool:
    closure = inspect.signature(optimizer_type.step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty
