"""Whether a loss is the sum of squares that it says, and its rows depend on themselves only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from perceptrain_core.errors import LossContractError, TrainingError
from perceptrain_core.least_squares.jacobian import Columns
from perceptrain_core.least_squares.linearized import DenseLinearized, Linearized
from perceptrain_core.types import Residuals
from perceptrain_core.user_warnings import warn_user


def check_modules(model: nn.Module) -> None:
    """Check that no module is known to make rows depend on each other, or on chance.

    Raises:
        TrainingError: One does, in its current mode.
    """
    for name, module in model.named_modules():
        if not module.training:
            continue
        label = f"{type(module).__name__}{f' ({name})' if name else ''}"
        if isinstance(module, _BatchNorm):
            raise TrainingError(
                f"{label} makes each row of a batch depend on all others, so residuals have no "
                "Jacobian row by row. Use LayerNorm, or put it into evaluation mode, or use "
                "another optimizer."
            )
        if isinstance(module, _DropoutNd) and module.p > 0:
            raise TrainingError(
                f"{label} changes the loss at random, and a Gauss-Newton step compares its value "
                "before and after. Leave dropout out, or use another optimizer."
            )


def warn_of_precision(parameters: Sequence[Tensor]) -> None:
    """Warn if parameters are not in float64.

    Warns:
        UserWarning: Some are not.
    """
    lower = {str(p.dtype).removeprefix("torch.") for p in parameters} - {"float64"}
    if lower:
        warn_user(
            f"The parameters are {', '.join(sorted(lower))}. A Gauss-Newton step squares the "
            "condition of the problem, and stalls early in this precision: use "
            "TrainConfig(dtype=torch.float64)."
        )


def check_value(loss: Tensor, terms: Residuals) -> None:
    """Check that a loss is the sum of squares of its residuals.

    Raises:
        LossContractError: It is not.
    """
    with torch.no_grad():
        for name, (_, scale) in terms.items():
            if isinstance(scale, Tensor) and not bool((scale >= 0).all()):
                raise LossContractError(
                    f"The scale of the term {name!r} has elements below 0, or NaN; expected "
                    "numbers of at least 0. A term that is subtracted is not a sum of squares."
                )
        total = sum(float((scale * v.square()).sum()) for v, scale in terms.values())
    value = float(loss.detach())
    if abs(total - value) > _tolerance(loss) * max(abs(value), total):
        raise LossContractError(
            f"The loss is {value:.10g}, and its residuals sum up to {total:.10g}, the sum of "
            f"scale * values**2 over the terms {', '.join(map(repr, terms))}. Expected the same: "
            "return from residuals what the loss is the sum of squares of."
        )


def check_term(name: str, at: Linearized, rows: slice, expected: Tensor) -> None:
    """Check the rows of the Jacobian that belong to a term.

    Args:
        name: The term.
        at: The problem; if its Jacobian was not computed, nothing is checked.
        rows: The rows of the term.
        expected: The gradient of the term, shape ``(P,)``.

    Raises:
        TrainingError: The Jacobian has another gradient.
    """
    if not isinstance(at, DenseLinearized):
        return
    jacobian, residuals = at.jacobian[rows], at.residuals[rows]
    if not _agree(2 * residuals @ jacobian, expected, jacobian.norm() * residuals.norm()):
        raise TrainingError(
            f"The residuals of the term {name!r} were differentiated row by row, and their "
            "gradient is not that of the term. Each row may depend on its own row of the batch "
            "only, and not on chance; normalization over the batch, an integral condition over as "
            "many points as there are rows, and shuffled rows break this. Change the term or the "
            "model, or use another optimizer."
        )


def check_loss(at: Linearized, expected: Tensor) -> None:
    """Check the gradient of the sum of squares.

    Raises:
        LossContractError: The loss has another gradient.
    """
    if not _agree(2 * at.gradient, expected, 2 * at.residuals.norm() * at.gradient.norm()):
        raise LossContractError(
            "The loss has the value of its sum of squares, but another gradient: something in it "
            "is detached, trained upwards, or differentiated in its own way. A Gauss-Newton step "
            "needs a loss whose gradient is that of its residuals; use another optimizer."
        )


def gradient(loss: Tensor, columns: Columns) -> Tensor:
    """Return the gradient of a loss with respect to all parameters; its graph is kept."""
    if not loss.requires_grad:
        return columns.flat([None] * len(columns.parameters))
    found = torch.autograd.grad(loss, columns.parameters, retain_graph=True, allow_unused=True)
    return columns.flat(found)


def _agree(one: Tensor, other: Tensor, size: Tensor) -> bool:
    difference = (one - other).norm()
    bound = _tolerance(one) * (size + one.norm() + other.norm())
    return bool(difference <= bound) or not bool(difference.isfinite())


def _tolerance(like: Tensor) -> float:
    return float(torch.finfo(like.dtype).eps ** 0.5)
