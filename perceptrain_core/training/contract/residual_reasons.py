"""Why a Jacobian is not that of the residuals: the message for an error that was found."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from perceptrain_core.least_squares.columns import Columns
from perceptrain_core.least_squares.jacobian import random_like
from perceptrain_core.training.contract.residual_checks import gradient


def wrong_jacobian(
    name: str, model: nn.Module, evaluate: Callable[[], Tensor], columns: Columns
) -> str:
    """Return the message for a term whose Jacobian is wrong.

    Args:
        name: The term.
        model: The model.
        evaluate: Returns the residuals of the term, with a graph.
        columns: The parameters.
    """
    return (
        _not_a_function(name, model, evaluate)
        or _not_repeatable(name, evaluate(), columns)
        or (
            f"The residuals of the term {name!r} were differentiated row by row, and their "
            "gradient is not that of the term. Each row may depend on its own row of the batch "
            "only; normalization over the batch, an integral condition over as many points as "
            "there are rows, and shuffled rows break this. Change the term or the model, or use "
            "another optimizer."
        )
    )


def wrong_gradient(
    name: str, model: nn.Module, evaluate: Callable[[], Tensor], columns: Columns
) -> str:
    """Return the message for a loss with another gradient than its residuals; for arguments see
    `wrong_jacobian`.
    """
    return (
        _not_a_function(name, model, evaluate)
        or _not_repeatable(name, evaluate(), columns)
        or (
            "The loss has the value of its sum of squares, but another gradient: something in it "
            "is detached, trained upwards, or differentiated in its own way. A Gauss-Newton step "
            "needs a loss whose gradient is that of its residuals; use another optimizer."
        )
    )


def _not_a_function(name: str, model: nn.Module, evaluate: Callable[[], Tensor]) -> str | None:
    """Return the message for residuals that differ between two evaluations."""
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    first, second = evaluate().detach(), evaluate().detach()
    if first.shape == second.shape and _equal(first, second):
        return None
    changed = [name for name, b in model.named_buffers() if not torch.equal(b, before[name])]
    cause = "It depends on random numbers, or on something that each evaluation changes. "
    if changed:
        cause = f"Each evaluation changes buffers of the model: {', '.join(map(repr, changed))}. "
    return (
        f"The residuals of the term {name!r} differ between two evaluations at the same "
        f"parameters. {cause}A Gauss-Newton step compares the loss at several parameters, and "
        "needs a fixed function: put the module that changes into evaluation mode, or use another "
        "optimizer."
    )


def _not_repeatable(name: str, values: Tensor, columns: Columns) -> str | None:
    """Return the message for a backward pass that is another one the second time."""
    total = (values * random_like(values)).sum()
    if _equal(gradient(total, columns), gradient(total, columns)):
        return None
    return (
        f"The gradient of the term {name!r} differs when it is computed again: a "
        "function in the model changes in its backward pass what it saved for it, as simulators of "
        "quantum circuits do with the adjoint method. A Jacobian needs several backward passes: "
        'choose another way of differentiating, such as diff_mode="ad", or another optimizer.'
    )


def _equal(one: Tensor, other: Tensor) -> bool:
    """Whether tensors are equal up to the order of a sum, which differs on a GPU."""
    bound = 1e3 * torch.finfo(one.dtype).eps * (one.norm() + other.norm())
    return not bool((one - other).norm() > bound)
