"""The contract of a loss: what it returns, and that its gradient reaches the model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.errors import LossContractError
from perceptrain_core.parameters import parameters_of
from perceptrain_core.tensors import describe, graph_nodes
from perceptrain_core.training.contract.count_checks import check_counts
from perceptrain_core.user_warnings import warn_user

_CONTRACT = "a loss is called as loss_fn(batch, model) and returns (loss, metrics)"


def check_result(result: Any) -> None:
    """Check that a loss returned a real 0-dim tensor and a dict of named scalars, well counted.

    Raises:
        LossContractError: It did not; the message says what it returned and how to fix it.
    """
    if isinstance(result, Tensor):
        raise LossContractError(
            f"The loss returned {describe(result)} alone; {_CONTRACT}. "
            "Return it with its metrics, e.g. `return loss, {}`; "
            "wrap a criterion of (outputs, labels) with perceptrain.supervised."
        )
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise LossContractError(f"The loss returned {describe(result)}; {_CONTRACT}.")
    _check_loss(result[0])
    _check_metrics(result[1])
    check_counts(result[1])
    named = result[1].get("loss", result[0])
    if not torch.allclose(torch.as_tensor(named).detach(), result[0].detach(), equal_nan=True):
        raise LossContractError(
            "A metric is named 'loss', which is the name of the loss itself in the history, and "
            "has another value. Give it another name."
        )


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
            raise LossContractError(f"Metric names must be strings, got {name!r}.")
        if not (isinstance(value, Tensor) and value.dim() == 0) and not _is_number(value):
            raise LossContractError(
                f"The metric {name!r} must be a number or a 0-dim tensor, got {describe(value)}."
            )


def _is_number(value: Any) -> bool:
    # Python and NumPy numbers convert to float; arrays and strings, which have a length, do not.
    return hasattr(value, "__float__") and not hasattr(value, "__len__")


def check_gradient(loss: Tensor, model: nn.Module) -> None:
    """Check that the gradient of a loss reaches a parameter of the model.

    Walks the graph without differentiating it.

    Raises:
        LossContractError: It does not reach one.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise LossContractError(
            f"{type(model).__name__} has no parameter with requires_grad: nothing can be trained. "
            "Call requires_grad_() on those to train, before creating the optimizer."
        )
    if not set(parameters).intersection(_leaves(loss)):
        raise LossContractError(
            f"The loss does not depend on the parameters of {type(model).__name__}. "
            "Compute it from model(...), and do not detach, convert or wrap it in torch.no_grad. "
            "A derivative by torch.autograd.grad needs create_graph=True."
        )


def no_graph(where: str) -> str:
    """Describe a loss that is a constant on one batch, after the first was not."""
    return (
        f"The loss {where} has no graph: it does not depend on the parameters, as a constant that "
        "is returned for some batches. Raise perceptrain.SkipBatch for a batch that does not "
        "count, or return 0 * model(...).sum()."
    )


def warn_of_untrained(loss: Tensor, model: nn.Module, loss_fn: Any, optimizer: Any) -> None:
    """Warn if the loss depends on parameters that are not trained.

    Parameters of the model or the loss that the optimizer does not have are left out on purpose,
    and not reported.

    Warns:
        UserWarning: A ``torch.nn.Parameter`` belongs to neither model, loss nor optimizer.
    """
    if not hasattr(optimizer, "param_groups"):
        return
    lost = untrained(loss, model, loss_fn, parameters_of(optimizer))
    if lost:
        shapes = ", ".join(str(tuple(p.shape)) for p in lost)
        warn_user(
            f"The loss depends on {len(lost)} untrained parameter(s), of shape {shapes}: "
            "neither the model nor the optimizer has them. Make each an attribute of the model, "
            "model.k = k, before creating the optimizer, or pass it to the optimizer."
        )


def untrained(
    loss: Tensor, model: nn.Module, loss_fn: Any, others: Iterable[Tensor] = ()
) -> list[nn.Parameter]:
    """Return the parameters that a loss depends on, except those of the modules and ``others``."""
    known = {*parameters_of(model, loss_fn), *others}
    leaves = dict.fromkeys(_leaves(loss))
    return [p for p in leaves if isinstance(p, nn.Parameter) and p not in known]


def _leaves(loss: Tensor) -> Iterator[Tensor]:
    """Yield the tensors that gradients of the loss are accumulated for."""
    for node in graph_nodes([loss]):
        if hasattr(node, "variable"):
            yield node.variable
