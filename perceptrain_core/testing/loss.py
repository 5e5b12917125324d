"""Checks of a loss."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.losses.support.outputs import output_activation
from perceptrain_core.random_state import kept_random_state
from perceptrain_core.registry.messages import one_line
from perceptrain_core.testing.checks import Check, require, run_check
from perceptrain_core.testing.side_effects import graph_faults, process_faults
from perceptrain_core.testing.trial_case import (
    Case,
    changes,
    counters,
    leaves,
    observed,
    same,
    saved_and_loaded,
)
from perceptrain_core.training.contract.loss_contract import (
    check_gradient,
    check_result,
    untrained,
)
from perceptrain_core.training.contract.nonfinite_errors import find_nonfinite

# Accuracy that a sum of many terms in each dtype can be expected to have.
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}
_STEPS = 5
_MIXED_DEVICES = re.compile("the same device|not on the expected device")


def check_loss(loss_fn: Callable[..., Any], batch: Any, model: nn.Module) -> None:
    """Check that a loss keeps the contract on a batch and a model.

    The loss must return a real finite scalar and named scalars, and its gradient must reach the
    parameters. It must work without gradients, in float64, on another device and with a wrapped
    model, return the same result for the same random seed, and store its state, if any, in
    ``state_dict``. It must not change its inputs or the settings of the process, or keep a graph
    alive after the step. The checks work on copies: the loss, the batch, the model and the random
    state are left unchanged.

    Args:
        loss_fn: The loss, called as ``loss_fn(batch, model)``.
        batch: A batch as a loader yields it.
        model: A model that fits the batch, on the device of the batch.

    Raises:
        ConformanceError: A check failed; the message lists every fault.
    """
    with kept_random_state(), torch.enable_grad():
        checks = _run(Case(loss_fn, batch, model))
    require(f"The loss {_name(loss_fn)!r}", checks)


def _run(case: Case) -> list[Check]:
    first = run_check("returns (loss, metrics)", _result_faults, case)
    if first.faults:  # the other checks would fail too
        return [first]
    checks = [run_check(name, find, case) for name, find in _CHECKS.items()]
    repeats = run_check(_REPEATS, _repeat_faults, case)
    # If the same seed gives different results, results cannot be compared.
    others = _COMPARED if repeats.passed else {}
    return [*checks, repeats, *(run_check(name, find, case) for name, find in others.items())]


def _result_faults(case: Case) -> Iterator[str]:
    result = case.copy().evaluate(train=True, grad=True)
    check_result(result)
    output_activation(case.loss_fn)  # raises if it is none
    loss, metrics = result
    scalars = {name: torch.as_tensor(value) for name, value in metrics.items()}
    if not all(value.isfinite() for value in (loss, *scalars.values())):
        yield f"{find_nonfinite(loss, metrics)}; finite numbers were expected"
    for name, value in scalars.items():
        if value.is_complex():
            yield f"the metric {name!r} is complex; a real number was expected"
    if "loss" in metrics:
        yield "a metric is called 'loss', the name under which the loss itself is logged: rename it"


def _gradient_faults(case: Case) -> Iterator[str]:
    case = case.copy()
    loss, _ = case.evaluate(train=True, grad=True)
    check_gradient(loss, case.model)
    own = dict(case.loss_fn.named_parameters()) if isinstance(case.loss_fn, nn.Module) else {}
    named = [*case.model.named_parameters(), *((f"{n} of the loss", p) for n, p in own.items())]
    parameters = {n: p for n, p in named if p.requires_grad}
    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
    gradients = [g.to_dense() if g is not None and g.is_sparse else g for g in found]
    for name, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None and not gradient.isfinite().all():
            yield f"the gradient of the parameter {name!r} is NaN or infinite"
    for parameter in untrained(loss, case.model, case.loss_fn):
        yield (
            f"it depends on a parameter of shape {tuple(parameter.shape)} that is not trained: "
            "make a loss with parameters an nn.Module"
        )
    if not any(gradient is not None and gradient.any() for gradient in gradients):
        moved = case.copy()
        moved.disturb_parameters()
        value, _ = moved.evaluate(train=True, grad=False)
        if not _close(loss, value):
            yield (
                f"its gradient is zero everywhere, although changing the parameters takes it from "
                f"{_number(loss)} to {_number(value)}: something between them and the loss is "
                "detached or rounded"
            )


def _evaluation_faults(case: Case) -> Iterator[str]:
    try:
        results = [case.copy().evaluate(train=False, grad=grad) for grad in (True, False)]
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        yield (
            f"under torch.no_grad() it raised {one_line(error)}; do not call backward, and put "
            "torch.enable_grad() around a derivative that the loss itself needs"
        )
        return
    for result in results:
        check_result(result)
    with_gradients, without = (result[0] for result in results)
    if not _close(with_gradients, without):
        yield (
            f"in evaluation mode it is {_number(with_gradients)} with gradients and "
            f"{_number(without)} under torch.no_grad(); the same value was expected"
        )


def _change_faults(case: Case) -> Iterator[str]:
    faults: list[str] = []
    for train in (True, False):
        used = case.copy()
        used.mark_gradients()
        used.model.train(train)
        before = used.snapshot(buffers=not train, state=not train)
        used.evaluate(train=train, grad=train)
        faults += changes(before, used.snapshot(buffers=not train, state=not train))
    yield from dict.fromkeys(faults)


def _repeat_faults(case: Case) -> Iterator[str]:
    (first, names), (second, others) = (
        case.copy().evaluate(train=True, grad=True) for _ in range(2)
    )
    if not _close(first, second):
        yield (
            f"it is {_number(first)}, then {_number(second)} from the same random seed; "
            "the same value was expected"
        )
    if list(names) != list(others):
        yield f"its metrics are {_list(names)}, then {_list(others)}; the same names were expected"


def _float64_faults(case: Case) -> Iterator[str]:
    double = case.copy()
    double.to_float64()
    (usual, _), (exact, _) = (c.evaluate(train=False, grad=True) for c in (case.copy(), double))
    if exact.dtype != torch.float64:
        yield (
            f"with the model and the batch in torch.float64 it is {exact.dtype}; make tensors "
            "with the dtype of the batch or of the outputs"
        )
    other, _ = case.copy().evaluate(train=False, grad=True, seed=1)
    # A loss that draws random numbers draws different ones in another dtype.
    if same(usual, other) and not _close(usual, exact, 10.0):
        yield f"it is {_number(usual)} in {usual.dtype}, but {_number(exact)} in torch.float64"


def _wrapped_faults(case: Case) -> Iterator[str]:
    """Wrap the model in another module, as distributed training does."""
    bare, wrapped = case.copy(), case.copy()
    wrapped.model = _Wrapped(wrapped.model)
    first, second = (c.evaluate(train=False, grad=True)[0] for c in (bare, wrapped))
    if not _close(first, second):
        yield (
            f"it is {_number(first)}, and {_number(second)} if another module wraps the "
            "model, as in distributed training: decide by what the model returned, not by its class"
        )


class _Wrapped(nn.Module):
    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)


def _device_faults(case: Case) -> Iterator[str]:
    """Evaluate on torch's meta device, which has shapes but no numbers, and exists everywhere."""
    moved = case.copy()
    moved.to_device("meta")
    inside = _count_open_calls(moved.model)
    try:
        loss, _ = moved.evaluate(train=False, grad=True)
    except Exception as error:
        # Many losses need numbers, so only mixing devices outside the model is a fault.
        if _MIXED_DEVICES.search(str(error)) and not inside:
            yield (
                f"with the model and the batch on another device it raised {one_line(error)}; make "
                "tensors on the device of the batch or of the outputs, and register tensors of its "
                "own as buffers of an nn.Module"
            )
        return
    if loss.device.type != "meta":
        yield f"with the model and the batch on another device it is still on {loss.device}"


def _count_open_calls(model: nn.Module) -> list[None]:
    """Return a list that is empty except during a call of the model, or after one has failed."""
    calls: list[None] = []
    model.register_forward_pre_hook(lambda *_: calls.append(None))
    model.register_forward_hook(lambda *_: calls.pop())
    return calls


def _state_faults(case: Case) -> Iterator[str]:
    used, fresh = case.copy(), case.copy()
    for _ in range(_STEPS):
        used.step_on(case.batch)
        used.disturb_parameters()  # otherwise every step would leave the same state
    saves = hasattr(case.loss_fn, "state_dict") and hasattr(case.loss_fn, "load_state_dict")
    if saves:
        state = saved_and_loaded(used.loss_fn.state_dict())  # type: ignore[attr-defined]
        fresh.loss_fn.load_state_dict(state)  # type: ignore[attr-defined]
        restored = fresh.loss_fn.state_dict()  # type: ignore[attr-defined]
        yield from changes(
            *(
                {n: observed(v) for n, v in leaves(item, "state_dict()")}
                for item in (state, restored)
            )
        )
    counts = counters(fresh.loss_fn)
    for name, number in counters(used.loss_fn).items():
        if counts.get(name) != number:
            yield (
                f"its {name} is {number} after {_STEPS} steps, and {counts.get(name)} in a resumed "
                "run: save it in state_dict"
            )
    fresh.model.load_state_dict(used.model.state_dict())
    for train in (False, True):
        used.batch, fresh.batch = copy.deepcopy(case.batch), copy.deepcopy(case.batch)
        first, second = (c.evaluate(train=train, grad=train)[0] for c in (used, fresh))
        if not _close(first, second):
            yield (
                f"restored from its state_dict it is {_number(second)}; it was {_number(first)}"
                if saves
                else f"it is {_number(first)} after {_STEPS} steps, but {_number(second)} from a "
                "fresh start, as in a resumed run: implement state_dict and load_state_dict"
            )
            return


_CHECKS = {
    "reaches the parameters of the model": _gradient_faults,
    "works without gradients": _evaluation_faults,
    "does not change its inputs": _change_faults,
    "keeps no extra graph": graph_faults,
    "does not change the process": process_faults,
    "moves to another device": _device_faults,
}
_REPEATS = "returns the same result twice"
_COMPARED = {
    "works with a wrapped model": _wrapped_faults,
    "moves to float64": _float64_faults,
    "saves its state in state_dict": _state_faults,
}


def _close(first: Tensor, second: Tensor, factor: float = 1.0) -> bool:
    tolerance = factor * _TOLERANCE.get(first.dtype, 1e-4)
    wide = first.detach().double(), second.detach().double()
    return torch.allclose(wide[0], wide[1], rtol=tolerance, atol=tolerance)


def _number(loss: Tensor) -> str:
    return f"{loss.item():.6g}"


def _list(names: Any) -> str:
    return ", ".join(map(repr, names)) or "none"


def _name(loss_fn: Any) -> str:
    while isinstance(loss_fn, functools.partial):
        loss_fn = loss_fn.func
    return str(getattr(loss_fn, "__name__", type(loss_fn).__name__))
