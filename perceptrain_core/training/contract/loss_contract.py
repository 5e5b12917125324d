"""The contract of a loss, checked on what it returned for the first batch."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import LossContractError
from perceptrain_core.tensors import describe, graph_nodes

_CONTRACT = "a loss is called as loss_fn(batch, model) and returns (loss, metrics)"


def check_result(result: Any) -> None:
    """Check that a loss returned a real 0-dim tensor and a dict of named scalars.

    Raises:
        LossContractError: It returned something else; the message says what, and how to mend it.
    """
    if isinstance(result, Tensor):
        raise LossContractError(
            f"The loss returned {describe(result)} alone; {_CONTRACT}. "
            "Return it with its metrics, e.g. `return loss, {}`; "
            "a criterion of (outputs, labels) is given its shape by perceptrain.supervised."
        )
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise LossContractError(f"The loss returned {describe(result)}; {_CONTRACT}.")
    _check_loss(result[0])
    _check_metrics(result[1])


def _check_loss(loss: Any) -> None:
    if not isinstance(loss, Tensor):
        raise LossContractError(
            f"The loss is {describe(loss)}; it must be a 0-dim tensor that depends on the "
            "parameters of the model: compute it with torch, without .item() or numpy."
        )
    if loss.dim() != 0:
        raise LossContractError(
            f"The loss is {describe(loss)}; it must have no dimensions. "
            "Reduce it, e.g. with loss.mean() or loss.sum()."
        )
    if loss.is_complex():
        raise LossContractError(
            f"The loss is {describe(loss)}; it must be real, e.g. loss.real or loss.abs()."
        )


def _check_metrics(metrics: Any) -> None:
    if not isinstance(metrics, dict):
        raise LossContractError(
            f"The metrics are {describe(metrics)}; they must be a dict of named scalars: "
            "return {} for none."
        )
    for name, value in metrics.items():
        if not isinstance(name, str):
            raise LossContractError(f"Metrics are named by strings; {name!r} is none.")
        if not (isinstance(value, Tensor) and value.dim() == 0) and not _is_number(value):
            raise LossContractError(
                f"The metric {name!r} must be a number or a 0-dim tensor, got {describe(value)}."
            )


def _is_number(value: Any) -> bool:
    # Numbers of Python and NumPy convert; arrays and strings, which have a length, do not count.
    return hasattr(value, "__float__") and not hasattr(value, "__len__")


def check_gradient(loss: Tensor, model: nn.Module) -> None:
    """Check that the gradient of a loss reaches a parameter of the model.

    The graph is walked, not differentiated: nothing is computed and nothing changes.

    Raises:
        LossContractError: It does not.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise LossContractError(
            f"{type(model).__name__} has no parameter with requires_grad: nothing can be trained."
        )
    if not _reaches(loss, {id(p) for p in parameters}):
        raise LossContractError(
            f"The loss does not depend on the parameters of {type(model).__name__}. "
            "Compute it from model(...), and do not detach, convert or wrap it in torch.no_grad."
        )


def warn_of_untrained(loss: Tensor, model: nn.Module, loss_fn: Any, optimizer: Any) -> None:
    """Say that the loss depends on parameters that nobody trains, if it does.

    Those of the model and the loss are left out: whoever gave an optimizer some of them meant it.

    Warns:
        UserWarning: A ``torch.nn.Parameter`` belongs to neither of them, nor to the optimizer.
    """
    groups = getattr(optimizer, "param_groups", None)
    if groups is None:
        return
    lost = untrained(loss, model, loss_fn, [p for group in groups for p in group["params"]])
    if lost:
        shapes = ", ".join(str(tuple(p.shape)) for p in lost)
        warnings.warn(
            f"The loss depends on {len(lost)} parameter(s) that nobody trains, of shape {shapes}: "
            "neither the model nor the optimizer has them. Make each an attribute of the model, "
            "model.k = k, before the optimizer is made, or give it to the optimizer.",
            stacklevel=2,
        )


def untrained(
    loss: Tensor, model: nn.Module, loss_fn: Any, others: Iterable[Tensor] = ()
) -> list[nn.Parameter]:
    """Give the parameters that a loss depends on, beside those of the model, its own and others."""
    modules = [part for part in (model, loss_fn) if isinstance(part, nn.Module)]
    known = {id(p) for module in modules for p in module.parameters()} | {id(p) for p in others}
    leaves = [getattr(node, "variable", None) for node in graph_nodes([loss])]
    lost = {id(p): p for p in leaves if isinstance(p, nn.Parameter) and id(p) not in known}
    return list(lost.values())


def _reaches(loss: Tensor, parameters: set[int]) -> bool:
    return any(id(getattr(node, "variable", None)) in parameters for node in graph_nodes([loss]))


def find_nonfinite(loss: Tensor, metrics: dict[str, Any]) -> str:
    """Name what is NaN or infinite: the terms, where the metrics show it, else the loss."""
    scalars = {name: torch.as_tensor(value) for name, value in metrics.items()}
    bad = [f"{name!r} is {v.item()}" for name, v in scalars.items() if not v.isfinite().all()]
    return f"the loss is {loss.item()}" + (f" (term {', '.join(bad)})" if bad else "")
