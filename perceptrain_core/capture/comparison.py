"""Compare a captured step with the eager one."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from perceptrain_core.capture.batches import with_leaves
from perceptrain_core.capture.moment import LARGEST, Moment, assign
from perceptrain_core.capture.program import Outcome, Program
from perceptrain_core.capture.reach import Reach
from perceptrain_core.capture.results import tensors_of
from perceptrain_core.capture.subject import Subject
from perceptrain_core.capture.update import Update
from perceptrain_core.capturing import NotCapturable
from perceptrain_core.types import Metrics

#: The largest difference of two results, relative to the largest element so far of a tensor.
TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.05, torch.float16: 0.01}
#: Differences are not compared with less than this share of the largest element of all gradients.
_SMALL = 1e-3


def compare_step(
    program: Program,
    subject: Subject,
    batch: Any,
    leaves: Sequence[Tensor],
    update: Update | None,
    seconds: list[float],
) -> Outcome:
    """Take an eager step, undo it, and take the captured one.

    Args:
        program: The captured step.
        subject: What was captured.
        batch: A batch.
        leaves: The tensors in it.
        update: The update of the parameters in the program.
        seconds: Gets the time that the eager step took.

    Returns:
        What the program returned.

    Raises:
        NotCapturable: The steps differ; nothing has changed then.
    """
    parameters = subject.parameters
    own = [] if update is None else [*parameters, *update.state(parameters)]
    moment = Moment(subject.look(), [*leaves, *own])
    start = perf_counter()
    try:
        loss, metrics, gradients = subject.evaluate(with_leaves(batch, leaves), by_backward=True)
        if update is not None:
            gradients = update.clipped(gradients)
        seconds.append(perf_counter() - start)
        eager = _results(loss, metrics, [g for g in gradients if g is not None])
        effects = _effects(subject.look(), leaves, parameters)
        drawn = torch.get_rng_state()
    finally:
        moment.restore()
    try:
        outcome = program(leaves)
        _compare(eager, _results(outcome.loss, outcome.metrics, outcome.gradients), subject)
        _compare(effects, _effects(subject.look(), leaves, parameters), subject)
        if not torch.equal(torch.get_rng_state(), drawn):
            raise NotCapturable("it draws other random numbers than the eager step")
        guarded = subject.guards_loss or subject.guards_gradients
        if update is not None and not (guarded and not outcome.others[-1]):
            before = dict(zip(moment.tensors, moment.values, strict=True))
            _compare_update(program, outcome.gradients, update, before, seconds)
    except BaseException:
        moment.restore()
        raise
    return outcome


def _results(loss: Tensor, metrics: Metrics, gradients: Sequence[Tensor]) -> dict[str, Any]:
    """Name what a step returned."""
    named = {f"the metric {name!r}": value for name, value in metrics.items()}
    counts = {f"count {n}": tensor for n, tensor in enumerate(tensors_of(metrics))}
    numbered = {f"gradient {n}": gradient for n, gradient in enumerate(gradients)}
    return {"the loss": loss} | named | counts | numbered


def _effects(
    reach: Reach, leaves: Sequence[Tensor], parameters: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Copy the tensors that a call of the loss may have changed, by path."""
    left_out = {*map(id, parameters)} | {
        id(t) for t in reach.tensors().values() if t.nbytes > LARGEST
    }
    batch = {f"tensor {number} of the batch": leaf for number, leaf in enumerate(leaves)}
    reached = batch | reach.tensors()
    return {n: t.detach().clone() for n, t in reached.items() if id(t) not in left_out}


def _compare(eager: dict[str, Any], captured: dict[str, Any], subject: Subject) -> None:
    if eager.keys() != captured.keys():
        raise NotCapturable("it returns other metrics, or gradients of other parameters")
    gradients = [_largest(value) for name, value in eager.items() if name.startswith("gradient")]
    largest = max(gradients, default=0.0)
    for name, expected in eager.items():
        least = _SMALL * largest if name.startswith("gradient") else 0.0
        if isinstance(expected, Tensor):
            least = max(least, _largest(expected), subject.scales.get(name, 0.0))
            subject.scales[name] = least
        difference = _difference(expected, captured[name], subject.precision, least)
        if difference is not None:
            raise NotCapturable(f"it differs from the eager step: {name} {difference}")


def _difference(
    expected: Any, found: Any, precision: torch.dtype | None, least: float = 0.0
) -> str | None:
    """Describe how two values differ; ``None`` if they agree."""
    if not isinstance(expected, Tensor) or not isinstance(found, Tensor):
        same = type(expected) is type(found) and (expected == found or expected != expected)
        return None if same else f"is {found} instead of {expected}"
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return f"is of {found.dtype} {(*found.shape,)}, not {expected.dtype} {(*expected.shape,)}"
    if not expected.is_floating_point() or not expected.numel():
        return None if torch.equal(expected, found) else "has other values"
    tolerance = TOLERANCES[precision or expected.dtype]
    largest = max(_largest(expected), least)
    if torch.allclose(found, expected, rtol=0, atol=tolerance * largest, equal_nan=True):
        return None
    worst = float((found - expected).abs().nan_to_num(torch.inf).max())
    return f"by {worst:.3g}, of at most {tolerance * largest:.3g}"


def _largest(tensor: Tensor) -> float:
    """Return the largest finite absolute value."""
    return float(tensor.nan_to_num(0, 0, 0).abs().max()) if tensor.numel() else 0.0


def _compare_update(
    program: Program,
    gradients: Sequence[Tensor],
    update: Update,
    saved: dict[Tensor, Tensor],
    seconds: list[float],
) -> None:
    """Compare the new parameters with those of the optimizer itself, from the same gradients."""
    targets = [*program.trained, *update.state(program.trained)]
    new = [t.detach().clone() for t in targets]
    old = [saved[t] for t in targets]
    assign(targets, old)
    start = perf_counter()
    update.step_itself(program.trained, gradients)
    seconds[-1] += perf_counter() - start
    try:
        for target, before, found in zip(targets, old, new, strict=True):
            expected = target.detach()
            if not expected.is_floating_point() or not expected.numel():
                continue
            size = 8 * torch.finfo(expected.dtype).eps * float(expected.abs().max())
            allowed = size + 10 * TOLERANCES[expected.dtype] * float(
                (expected - before).abs().max()
            )
            if float((found - expected).abs().max()) > allowed:
                raise NotCapturable("the optimizer does another step than by itself")
    finally:
        assign(targets, new)
