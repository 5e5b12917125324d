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
    own = [*parameters] if update is None else [*parameters, *update.state(parameters)]
    moment = Moment(subject.look(), [*leaves, *own])
    start = perf_counter()
    try:
        loss, metrics, gradients = subject.evaluate(with_leaves(batch, leaves), by_backward=True)
        if update is not None:
            gradients = update.clipped(gradients)
        seconds.append(perf_counter() - start)
        eager = _results(loss, metrics, [g for g in gradients if g is not None])
        effects = _effects(subject.look(), leaves, own)
        evaluated = [parameter.detach().clone() for parameter in parameters]  # it may change them
        drawn = torch.get_rng_state()
    finally:
        moment.restore()
    try:
        outcome = program(leaves)
        _compare(eager, _results(outcome.loss, outcome.metrics, outcome.gradients), subject)
        _compare(effects, _effects(subject.look(), leaves, own), subject)
        if not torch.equal(torch.get_rng_state(), drawn):
            raise NotCapturable("it draws other random numbers than the eager step")
        guarded = subject.guards_loss or subject.guards_gradients
        if update is not None and not (guarded and not outcome.others[-1]):
            before = dict(zip(moment.tensors, moment.values, strict=True))
            before |= dict(zip(parameters, evaluated, strict=True))
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
    reach: Reach, leaves: Sequence[Tensor], trained: Sequence[Tensor]
) -> dict[str, Tensor]:
    """Copy the tensors that a call of the loss may have changed, by path.

    Without those that the update of the parameters changes.
    """
    batch = {f"tensor {number} of the batch": leaf for number, leaf in enumerate(leaves)}
    small = {path: t for path, t in reach.tensors().items() if t.nbytes <= LARGEST}
    own = {*map(id, trained)}
    return {name: t.detach().clone() for name, t in (batch | small).items() if id(t) not in own}


def _compare(eager: dict[str, Any], captured: dict[str, Any], subject: Subject) -> None:
    if other := [*(eager.keys() ^ captured.keys())]:
        raise NotCapturable(f"it differs from the eager step: only one has {min(other)}")
    sizes = {name: _largest(v) for name, v in eager.items() if isinstance(v, Tensor)}
    gradients = [name for name in sizes if name.startswith("gradient")]
    least = _SMALL * max((sizes[name] for name in gradients), default=0.0)
    sizes |= {name: max(sizes[name], least) for name in gradients}
    for name, expected in eager.items():
        scale = subject.scales[name] = max(sizes.get(name, 0.0), subject.scales.get(name, 0.0))
        difference = _difference(expected, captured[name], subject.precision, scale)
        if difference is not None:
            raise NotCapturable(f"it differs from the eager step: {name} {difference}")


def _difference(
    expected: Any, found: Any, precision: torch.dtype | None, scale: float
) -> str | None:
    """Describe how two values differ, relative to a scale; ``None`` if they agree."""
    if not isinstance(expected, Tensor) or not isinstance(found, Tensor):
        same = type(expected) is type(found) and (expected == found or expected != expected)
        return None if same else f"is {found} instead of {expected}"
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return f"is of {found.dtype} {(*found.shape,)}, not {expected.dtype} {(*expected.shape,)}"
    if not expected.is_floating_point() or not expected.numel():
        return None if torch.equal(expected, found) else "has other values"
    allowed = TOLERANCES[precision or expected.dtype] * scale
    if torch.allclose(found, expected, rtol=0, atol=allowed, equal_nan=True):
        return None
    worst = float((found - expected).abs().nan_to_num(torch.inf).max())
    return f"by {worst:.3g}, of at most {allowed:.3g}"


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
            rounding = 8 * torch.finfo(expected.dtype).eps * _largest(expected)
            allowed = rounding + 10 * TOLERANCES[expected.dtype] * _largest(expected - before)
            if not torch.allclose(found, expected, rtol=0, atol=allowed, equal_nan=True):
                raise NotCapturable("the optimizer does another step than by itself")
    finally:
        assign(targets, new)
