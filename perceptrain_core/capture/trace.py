"""Record one evaluation of a loss, its gradients, and the update of the parameters, as a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx
from torch._guards import TracingContext, tracing
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import get_total_norm

from perceptrain_core.capture.batches import with_leaves
from perceptrain_core.capture.errors import first_line
from perceptrain_core.capture.moment import Moment
from perceptrain_core.capture.reach import Reach
from perceptrain_core.capture.refusals import RefusesReads, refusals, refuse_data_dependence
from perceptrain_core.capture.results import tensors_of
from perceptrain_core.capture.subject import Subject
from perceptrain_core.capture.update import Update
from perceptrain_core.capturing import NotCapturable
from perceptrain_core.random_state import get_random_state
from perceptrain_core.types import Metrics

_OWN_TERMS = (
    "its terms are means over different numbers of rows, and a step of several batches weighs each "
    "of them"
)


@dataclass
class Recorded:
    """A step as a graph, and what its inputs and outputs are.

    Args:
        inputs: The tensors that were the inputs: those of the batch, then others.
        metrics: The metrics; tensors among them stand for those of a call.
        trained: The parameters with a gradient.
        replaced: Paths of the places whose tensors a call replaces.
        reach: What the loss and the model reached.
        graph: Maps the inputs to a list: the loss, the tensors among the metrics, the gradients,
            the new tensors of ``replaced``; then the norm of the gradients and whether the step
            was taken, where these were asked for. Parameters and the optimizer's state are
            updated in place.
    """

    inputs: list[Tensor]
    metrics: Metrics
    trained: list[Tensor]
    replaced: list[str]
    reach: Reach
    graph: fx.GraphModule = field(init=False)


def record(
    subject: Subject, batch: Any, leaves: Sequence[Tensor], update: Update | None
) -> Recorded:
    """Record a step. The parameters, the optimizer and what the loss reaches are as before.

    Args:
        subject: What is recorded.
        batch: A batch.
        leaves: The tensors in it.
        update: The update of the parameters; ``None`` records the gradients only.

    Raises:
        NotCapturable: The loss does what a graph cannot repeat.
    """
    before = subject.look()
    leaves = _apart(leaves, [*before.tensors().values(), *subject.parameters])
    others = [*leaves, *subject.parameters]
    if update is not None:
        others += [*update.state(subject.parameters), *update.rates]
    if subject.halted is not None:
        others.append(subject.halted)
    moment = Moment(before, others)
    inputs = moment.tensors
    before.refuse_streams_and_hooks()
    found: list[Recorded] = []
    updated: list[Tensor] = []

    def step(*_: Tensor) -> list[Tensor]:
        with refusals():
            loss, metrics, found_gradients = subject.evaluate(with_leaves(batch, leaves))
        if not subject.keeps_terms and getattr(metrics, "terms", None):
            raise NotCapturable(_OWN_TERMS)
        replaced = _replaced(before, subject.look())
        pairs = zip(subject.parameters, found_gradients, strict=True)
        reached = {p: g for p, g in pairs if g is not None}
        trained, gradients = [*reached], [*reached.values()]
        with torch.no_grad(), RefusesReads():
            last = [get_total_norm(gradients, foreach=False)] if subject.measures_norm else []
            fine = _is_fine(subject, loss, gradients)
            new: list[Tensor] = []
            if update is not None:
                new, gradients = update(trained, gradients)
                updated[:] = [*trained, *update.state(trained)]
            if fine is not None:
                new = [torch.where(fine, a, b) for a, b in zip(new, updated, strict=True)]
                last.append(fine)
        found[:] = [Recorded(inputs, metrics, trained, [*replaced], before)]
        shown = [tensor.detach() for tensor in tensors_of(metrics)]
        return [loss, *shown, *gradients, *replaced.values(), *last, *new]

    # Else torch would create a mode for each node of the graph: half of the time.
    fake_mode = FakeTensorMode(allow_fallback_kernels=True)
    try:
        with tracing(TracingContext(fake_mode)):
            graph = make_fx(step)(*inputs)
    except NotCapturable:
        raise
    except Exception as error:
        text = f"{type(error).__name__}: {first_line(error)}"
        if "_local_scalar_dense" in text:  # what torch says of it is about its own options
            text = "the loss reads the value of a tensor"
        raise NotCapturable(text).with_traceback(error.__traceback__) from error
    finally:
        now = get_random_state()
        moment.restore()
    _refuse_other_random_numbers(moment.random, now)
    refuse_data_dependence(graph.graph)
    _refuse_old_gradients(graph, inputs)
    recorded = found[0]
    _copy_back(graph, [_number_of(tensor, inputs) for tensor in updated])
    recorded.graph = graph
    return recorded


def _apart(leaves: Sequence[Tensor], others: Sequence[Tensor]) -> list[Tensor]:
    """Return the tensors of a batch, as other objects where they are reached elsewhere, too.

    The next batch may have another tensor there, while the other place keeps this one.
    """
    seen, apart = {*map(id, others)}, []
    for leaf in leaves:
        is_shared = id(leaf) in seen
        seen.add(id(leaf))
        alias = leaf.detach().requires_grad_(leaf.requires_grad) if is_shared else leaf
        apart.append(alias)
    return apart


def _is_fine(subject: Subject, loss: Tensor, gradients: Sequence[Tensor]) -> Tensor | None:
    """Return whether all values that matter are finite, ``None`` if none does."""
    each = [g.isfinite().all() for g in gradients] if subject.guards_gradients else []
    each += [loss.isfinite()] if subject.guards_loss else []
    each += [subject.halted.eq(0)] if subject.halted is not None else []
    return torch.stack(each).all() if each else None


def _number_of(tensor: Tensor, inputs: Sequence[Tensor]) -> int:
    return next(number for number, each in enumerate(inputs) if each is tensor)


def _replaced(before: Reach, after: Reach) -> dict[str, Tensor]:
    """Return the new tensors of the places where a call has put others, by path.

    Raises:
        NotCapturable: The call has other effects, which a graph would drop.
    """
    moved, replaced, changed = before.changes_to(after)
    if other := [*changed, *moved]:
        shown = ", ".join(map(before.shown, other[:3]))
        raise NotCapturable(
            f"calling the loss changes {shown}, which a graph of tensors cannot repeat: keep such "
            "a value in a tensor"
        )
    return {path: after.places[path].value for path in replaced}


def _copy_back(graph: fx.GraphModule, targets: Sequence[int]) -> None:
    """Turn the last outputs into updates of inputs in place."""
    placeholders = [node for node in graph.graph.nodes if node.op == "placeholder"]
    (output,) = [node for node in graph.graph.nodes if node.op == "output"]
    values = [*output.args[0]]
    kept, new = values[: len(values) - len(targets)], values[len(values) - len(targets) :]
    with graph.graph.inserting_before(output):
        for number, value in zip(targets, new, strict=True):
            graph.graph.call_function(torch.ops.aten.copy_.default, (placeholders[number], value))
    output.args = (kept,)
    graph.recompile()


def _refuse_old_gradients(graph: fx.GraphModule, tensors: Sequence[Tensor]) -> None:
    """Check that no gradient of the last step is used: captured steps compute those of parameters.

    Raises:
        NotCapturable: One is a constant of the graph.
    """
    names = [str(node.target) for node in graph.graph.nodes if node.op == "get_attr"]
    constants = {id(getattr(graph, name)) for name in names if hasattr(graph, name)}
    if any(id(t.grad) in constants for t in tensors if t.is_leaf or t.retains_grad):
        raise NotCapturable("the loss uses .grad of a tensor from the step before")


def _refuse_other_random_numbers(before: dict[str, Any], now: dict[str, Any]) -> None:
    (_, drawn, gauss), (_, words, half) = now["python"], before["python"]
    if gauss != half or not torch.equal(drawn, words):
        raise NotCapturable("the loss draws random numbers with Python's random")
    old, new = before["numpy"]["state"], now["numpy"]["state"]
    if old["pos"] != new["pos"] or not torch.equal(old["key"], new["key"]):
        raise NotCapturable("the loss draws random numbers with NumPy")
