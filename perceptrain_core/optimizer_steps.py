"""What optimizers need for their steps: gradients, a closure, or the residuals of the loss."""

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


def active_optimizer(optimizer: Any) -> Any:
    """Return the optimizer that takes the next step: mostly the given one."""
    return getattr(optimizer, "active", optimizer)


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


def needs_residuals(optimizer: Any) -> bool:
    """Whether the next step of an optimizer needs the residuals of the loss.

    It has a true attribute ``needs_residuals``, as `GaussNewton`.
    """
    return bool(getattr(optimizer, "needs_residuals", False))


def may_need_residuals(optimizer: Any) -> bool:
    """Whether an optimizer needs residuals now, or may need them later in the run."""
    return any(map(needs_residuals, stages_of(optimizer)))


def can_be_part(optimizer: Any) -> bool:
    """Whether an optimizer of torch can be part of another one, which sets the gradients for it.

    It cannot if it evaluates the loss itself, or consists of several, one after the other.
    """
    evaluates = may_need_closure(optimizer) or may_need_residuals(optimizer)
    return isinstance(optimizer, Optimizer) and not (hasattr(optimizer, "stages") or evaluates)


def is_second_order(optimizer: Any) -> bool:
    """Whether an optimizer chooses the length of its steps by the exact loss and gradient.

    It has a true attribute ``second_order``, as `SSBroyden`; one with stages is none itself.
    """
    return bool(getattr(optimizer, "second_order", False))


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
