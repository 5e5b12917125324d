"""Checks of a weighting."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.losses import WeightedLoss
from perceptrain_core.losses.support.terms import named_terms
from perceptrain_core.models import FFNN, PINN
from perceptrain_core.random_state import kept_random_state
from perceptrain_core.testing.checks import Check, require, run_check
from perceptrain_core.testing.trial_case import Case, changes, leaves, observed, saved_and_loaded
from perceptrain_core.weightings import Weighting
from perceptrain_core.weightings.base import weighted_sum

_STEPS = 4


def check_weighting(
    weighting: Any,
    loss_fn: Callable[..., Any] | str | Mapping[str, Any] = "mse",
    batch: Any = None,
    model: nn.Module | None = None,
) -> None:
    """Check that a weighting keeps the contract on a loss of several terms.

    The weights must be finite and belong to terms of the loss, and the gradient of the loss must be
    the weighted sum of the terms' gradients. The weighting must not change ``.grad``, or anything
    during validation. It must survive a term that becomes 0, return the same weights for the same
    random seed, work in float64, and resume from its ``state_dict``. The checks work on copies.

    Args:
        weighting: The weighting, before its first update.
        loss_fn: A loss whose metrics are its terms.
        batch: A batch for the loss. Default: points for the default model.
        model: A model for the loss. Default: a small PINN with three equations, named after the
            ``names`` of the weighting if it has any.

    Raises:
        ConformanceError: A check failed; the message lists every fault.
    """
    with kept_random_state(), torch.enable_grad():
        checks = _run(weighting, loss_fn, batch, model)
    require(f"The weighting {type(weighting).__name__!r}", checks)


def _run(weighting: Any, loss_fn: Any, batch: Any, model: nn.Module | None) -> list[Check]:
    first = run_check("is a module with every and update", _kind_faults, weighting)
    if first.faults:  # the other checks would fail too
        return [first]
    if model is None:
        model, batch = _default(weighting)
    case = Case(WeightedLoss(loss_fn, weighting), batch, model)
    second = run_check("returns finite weights", _weight_faults, case)
    if second.faults:
        return [second]
    return [first, second, *(run_check(name, find, case) for name, find in _CHECKS.items())]


def _kind_faults(weighting: Any) -> Iterator[str]:
    if not isinstance(weighting, nn.Module):
        yield (
            f"it is {type(weighting).__name__}; a torch.nn.Module was expected, such as a subclass "
            "of perceptrain.weightings.Weighting, so that its state is saved and moved"
        )
    every = getattr(weighting, "every", None)
    if not isinstance(every, int) or every < 1:
        yield f"its attribute every is {every!r}; a whole number of 1 or more was expected"
    if not callable(getattr(weighting, "update", None)):
        yield "it has no method update(terms, grads)"


def _default(weighting: Any) -> tuple[nn.Module, dict[str, Tensor]]:
    names = [*getattr(weighting, "names", ())]
    names += [name for name in ("inside", "edge", "start") if name not in names][: 3 - len(names)]
    torch.manual_seed(0)
    equations = {name: _equation(10.0**place) for place, name in enumerate(names)}
    points = {name: torch.rand(6, 2) for name in names}
    return PINN(FFNN([2, 6, 1], nn.Tanh()), equations), points


def _equation(scale: float) -> Callable[[Tensor, nn.Module], Tensor]:
    def equation(points: Tensor, network: nn.Module) -> Tensor:
        u = network(points)
        (du,) = torch.autograd.grad(u.sum(), points, create_graph=True)
        residual: Tensor = scale * (du.sum(dim=1, keepdim=True) + u - 1)
        return residual

    return equation


def _descend(case: Case, steps: int = _STEPS) -> Iterator[Mapping[str, Any]]:
    """Train for some steps, and yield the metrics of each after its backward pass."""
    modules = [part for part in (case.model, case.loss_fn) if isinstance(part, nn.Module)]
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = None
        loss, metrics = case.evaluate(train=True, grad=True)
        loss.backward()
        yield metrics
        with torch.no_grad():
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.sub_(1e-3 * parameter.grad / (1 + parameter.grad.norm()))


def _weights(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {n.removeprefix("weight_"): w for n, w in metrics.items() if n.startswith("weight_")}


def _weight_faults(case: Case) -> Iterator[str]:
    case = case.copy()
    steps = _STEPS * case.loss_fn.weighting.every  # type: ignore[attr-defined]
    for number, metrics in enumerate(_descend(case, min(steps, 100)), start=1):
        for name, weight in _weights(metrics).items():
            if not weight.isfinite():
                yield f"the weight of {name!r} is {weight.item():g} after {number} steps"


def _gradient_faults(case: Case) -> Iterator[str]:
    case = case.copy()
    combine = getattr(case.loss_fn.weighting, "combine", weighted_sum)  # type: ignore[attr-defined]
    if getattr(combine, "__func__", combine) not in (weighted_sum, Weighting.combine):
        return  # the loss is not the weighted sum
    named = {n: p for n, p in case.model.named_parameters() if p.requires_grad}
    for number, metrics in enumerate(_descend(case), start=1):
        weights = _weights(metrics)
        terms = named_terms(case.loss_fn.loss_fn(case.batch, case.model))  # type: ignore[attr-defined]
        total = weighted_sum(terms, weights)
        expected = torch.autograd.grad(total, list(named.values()), materialize_grads=True)
        for (name, parameter), gradient in zip(named.items(), expected, strict=True):
            found = torch.zeros_like(gradient) if parameter.grad is None else parameter.grad
            if not torch.allclose(
                found, gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max())
            ):
                yield (
                    f"in step {number} the gradient of the parameter {name!r} is not the weighted "
                    "sum of the terms' gradients: no gradient may flow through the weights"
                )


def _change_faults(case: Case) -> Iterator[str]:
    for train in (True, False):
        used = case.copy()
        list(_descend(used, 1))
        used.mark_gradients()
        used.model.train(train)
        before = used.snapshot(buffers=True) | ({} if train else _state(used))
        used.evaluate(train=train, grad=train)
        yield from changes(before, used.snapshot(buffers=True) | ({} if train else _state(used)))


def _state(case: Case) -> dict[str, Any]:
    state = case.loss_fn.state_dict()  # type: ignore[attr-defined]
    return {name: observed(value) for name, value in leaves(state, "the state")}


def _vanish_faults(case: Case) -> Iterator[str]:
    case = case.copy()
    inner = case.loss_fn.loss_fn  # type: ignore[attr-defined]

    def vanishing(batch: Any, model: nn.Module) -> Any:
        terms = named_terms(inner(batch, model))
        last = next(reversed(terms))
        terms = {**terms, last: 0 * terms[last]}
        return weighted_sum(terms, {}), terms

    case.loss_fn.loss_fn = vanishing  # type: ignore[attr-defined]
    for metrics in _descend(case):
        for name, weight in _weights(metrics).items():
            if not torch.as_tensor(weight).isfinite():
                yield f"the weight of {name!r} is {float(weight):g} when a term is 0"


def _repeat_faults(case: Case) -> Iterator[str]:
    first, second = ([_weights(m) for m in _descend(case.copy())] for _ in range(2))
    if first != second:
        yield "it returns different weights for the same random seed; draw from torch's generator"


def _float64_faults(case: Case) -> Iterator[str]:
    case = case.copy()
    case.to_float64()
    for name, weight in _weights(list(_descend(case))[-1]).items():
        if weight.dtype != torch.float64:
            yield f"with terms in torch.float64 the weight of {name!r} is {weight.dtype}"


def _state_faults(case: Case) -> Iterator[str]:
    used, fresh = case.copy(), case.copy()
    list(_descend(used))
    state = saved_and_loaded(used.loss_fn.state_dict())  # type: ignore[attr-defined]
    fresh.loss_fn.load_state_dict(state)  # type: ignore[attr-defined]
    fresh.model = copy.deepcopy(used.model)
    after, restored = ([_weights(m) for m in _descend(c)] for c in (used, fresh))
    if after != restored:
        yield (
            "restored from its state_dict it continues with different weights; store the state "
            "that update needs in buffers, or in Weighting.memory"
        )


_CHECKS = {
    "has the gradient of the weighted sum": _gradient_faults,
    "changes only its weights, and nothing in validation": _change_faults,
    "survives a term that becomes 0": _vanish_faults,
    "returns the same weights twice": _repeat_faults,
    "works in float64": _float64_faults,
    "saves its state in state_dict": _state_faults,
}
