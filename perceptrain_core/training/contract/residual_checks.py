"""Whether a loss is the sum of squares that it says, and its rows depend on themselves only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from perceptrain_core.errors import LossContractError, TrainingError
from perceptrain_core.least_squares.jacobian import Columns
from perceptrain_core.least_squares.linearized import Linearized
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
            "condition of the problem, and stalls early in this precision: train "
            'with dtype="float64".'
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


def check_term(name: str, jacobian: Tensor, values: Tensor, columns: Columns) -> None:
    """Check the rows of the Jacobian that belong to a term, by a product with random numbers.

    Args:
        name: The term.
        jacobian: Its rows, shape ``(values.numel(), P)``.
        values: The residuals of the term, of the model as it is, multiplied by their factors.
        columns: The parameters.

    Raises:
        TrainingError: The Jacobian is not that of the values.
    """
    # Not by the residuals: near a solution any Jacobian has the right product with them.
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(values.shape, generator=generator, dtype=torch.float64).to(values)
    expected = gradient((values * weights).sum(), columns)
    size = jacobian.norm() * weights.norm()
    if not _agree(weights.reshape(-1) @ jacobian, expected, size):
        raise TrainingError(
            f"The residuals of the term {name!r} were differentiated row by row, and their "
            "gradient is not that of the term. Each row may depend on its own row of the batch "
            "only, and not on chance; normalization over the batch, an integral condition over as "
            "many points as there are rows, and shuffled rows break this. Change the term or the "
            "model, or use another optimizer."
        )


def check_loss(loss: Tensor, terms: Residuals, at: Linearized, columns: Columns) -> None:
    """Check that a loss has the gradient of its sum of squares.

    Raises:
        LossContractError: It has another one.
    """
    squares = [(scale * values.square()).sum() for values, scale in terms.values()]
    own = gradient(torch.stack(squares).sum(), columns)
    size = at.residuals.norm() * at.largest_square() ** 0.5
    if not _agree(own, gradient(loss, columns), size):
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
