"""Whether a loss is the sum of squares that it says, and its rows depend on themselves only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from perceptrain_core.errors import LossContractError, TrainingError
from perceptrain_core.least_squares.columns import Columns
from perceptrain_core.least_squares.jacobian import random_like
from perceptrain_core.least_squares.linearized import Linearized
from perceptrain_core.tensors import graph_nodes
from perceptrain_core.types import Residuals
from perceptrain_core.user_warnings import warn_user

#: The message for a model that saves memory in a way that hides derivatives.
CHECKPOINTED = (
    "The model uses torch.utils.checkpoint, which computes layers again in the backward pass; "
    "Gauss-Newton steps differentiate what was computed first. Leave the checkpointing out, or use "
    "another optimizer."
)


def check_modules(model: nn.Module) -> None:
    """Check that no module is known to make rows depend on each other, or on chance.

    Raises:
        TrainingError: One does, in its current mode.
    """
    for name, module in model.named_modules():
        label = f"{type(module).__name__}{f' ({name})' if name else ''}"
        if module.training and isinstance(module, _BatchNorm):
            raise TrainingError(
                f"{label} makes each row of a batch depend on all others, so residuals have no "
                "Jacobian row by row. Use LayerNorm, or put it into evaluation mode, or use "
                "another optimizer."
            )
        if module.training and _is_random(module):
            raise TrainingError(
                f"{label} changes the loss at random, and a Gauss-Newton step compares its value "
                "before and after. Set its dropout to 0, put it into evaluation mode, or use "
                "another optimizer."
            )
        if isinstance(module, nn.Embedding | nn.EmbeddingBag):
            _check_embedding(label, module)


def _is_random(module: nn.Module) -> bool:
    if isinstance(module, _DropoutNd):
        return module.p > 0
    if isinstance(module, nn.RNNBase):  # between layers only
        return module.dropout > 0 and module.num_layers > 1
    if isinstance(module, nn.MultiheadAttention):
        return bool(module.dropout > 0)
    return isinstance(module, nn.RReLU)


def _check_embedding(label: str, module: nn.Embedding | nn.EmbeddingBag) -> None:
    reasons = {
        "max_norm": "changes its weights whenever it is evaluated",
        "scale_grad_by_freq": "returns gradients that are not derivatives of the loss",
        "sparse": "returns sparse gradients",
    }
    for option, reason in reasons.items():
        if getattr(module, option):
            raise TrainingError(
                f"{label} has the option {option}, with which it {reason}; Gauss-Newton steps need "
                f"derivatives of a fixed function. Leave {option} out, or use another optimizer."
            )


def check_parameters(parameters: Sequence[Tensor]) -> None:
    """Check that there are parameters to train, real and on one device.

    Raises:
        TrainingError: There are none, or others.
    """
    if not parameters:
        raise TrainingError(
            "GaussNewton has no parameter that requires gradients: all are frozen. Set "
            "requires_grad=True on those to train."
        )
    kinds = {f"{p.dtype} on {p.device}" for p in parameters}
    if any(p.is_complex() for p in parameters) or len({p.device for p in parameters}) > 1:
        raise TrainingError(
            "GaussNewton needs real parameters on one device; it has "
            f"{', '.join(sorted(kinds))}. Store real and imaginary parts as two real parameters, "
            "and move the model to one device."
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


def check_scales(terms: Residuals) -> None:
    """Check that the scales of all terms are numbers of at least 0.

    Raises:
        LossContractError: Some are not.
    """
    for name, (_, scale) in terms.items():
        if isinstance(scale, Tensor) and not bool((scale >= 0).all()):
            raise LossContractError(
                f"The scale of the term {name!r} has elements below 0, or NaN; expected "
                "numbers of at least 0. A term that is subtracted is not a sum of squares."
            )


def check_value(loss: Tensor, terms: Residuals) -> None:
    """Check that a loss is the sum of squares of its residuals.

    Raises:
        LossContractError: It is not.
    """
    with torch.no_grad():
        total = sum(float((scale * v.square()).sum()) for v, scale in terms.values())
    value = float(loss.detach())
    if abs(total - value) > _tolerance(loss) * max(abs(value), total):
        raise LossContractError(
            f"The loss is {value:.10g}, and its residuals sum up to {total:.10g}, the sum of "
            f"scale * values**2 over the terms {', '.join(map(repr, terms))}. Expected the same: "
            "return from residuals what the loss is the sum of squares of."
        )


def check_graph(terms: Residuals) -> None:
    """Check that no part of the model hides its parameters from ``torch.autograd.grad``.

    Raises:
        TrainingError: One does.
    """
    nodes = graph_nodes(values for values, _ in terms.values())
    if any(type(node).__name__ == "CheckpointFunctionBackward" for node in nodes):
        raise TrainingError(CHECKPOINTED)


def is_term(at: Linearized, place: slice, values: Tensor, columns: Columns) -> bool:
    """Whether the Jacobian is that of a term, by a product with random numbers.

    Args:
        at: The linearized problem.
        place: The rows of the term.
        values: The residuals of the term, of the model as it is, multiplied by their factors.
        columns: The parameters.
    """
    # Not by the residuals: near a solution any Jacobian has the right product with them.
    weights = random_like(values)
    expected = gradient((values * weights).sum(), columns)
    whole = torch.zeros_like(at.residuals)
    whole[place] = weights.reshape(-1)
    return _agree(at.transposed_times(whole), expected)


def is_loss(loss: Tensor, terms: Residuals, at: Linearized, columns: Columns) -> bool:
    """Whether a loss has the gradient of its sum of squares."""
    squares = [(scale * values.square()).sum() for values, scale in terms.values()]
    own = gradient(torch.stack(squares).sum(), columns)
    size = at.residuals.norm() * at.largest_square() ** 0.5
    return _agree(own, gradient(loss, columns), size)


def check_products(at: Linearized) -> None:
    """Check that products with the Jacobian and with its transpose belong together.

    Raises:
        TrainingError: They do not.
    """
    step, weights = random_like(at.gradient), random_like(at.residuals)
    image, back = at.times(step) * weights, at.transposed_times(weights) * step
    if not _agree(image.sum(), back.sum(), image.norm() + back.norm()):
        raise TrainingError(
            "The residuals have no second derivatives: a function in the model or in an equation "
            "computes its gradient outside of autograd, such as with once_differentiable. "
            'Conjugate gradients need them: use solver="cholesky".'
        )


def gradient(loss: Tensor, columns: Columns) -> Tensor:
    """Return the gradient of a loss with respect to all parameters; its graph is kept."""
    if not loss.requires_grad:
        return columns.flat([None] * len(columns.parameters))
    found = torch.autograd.grad(loss, columns.parameters, retain_graph=True, allow_unused=True)
    return columns.flat(found)


def _agree(one: Tensor, other: Tensor, size: Tensor | float = 0.0) -> bool:
    difference = (one - other).norm()
    bound = _tolerance(one) * (size + one.norm() + other.norm())
    return bool(difference <= bound) or not bool(difference.isfinite())


def _tolerance(like: Tensor) -> float:
    return float(torch.finfo(like.dtype).eps ** 0.5)
