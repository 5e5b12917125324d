"""A recorded step, compiled."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from perceptrain_core.capture.errors import first_line
from perceptrain_core.capture.powers import compute_powers_once
from perceptrain_core.capture.reach import Reach
from perceptrain_core.capture.results import tensors_of, with_tensors
from perceptrain_core.capture.trace import Recorded
from perceptrain_core.capturing import NotCapturable
from perceptrain_core.types import Metrics

_PARALLEL = 2**17  # elements


class Outcome(NamedTuple):
    """What a captured step returns.

    Attributes:
        loss: The loss, a 0-dim tensor.
        metrics: The metrics.
        trained: The parameters with a gradient.
        gradients: Their gradients.
        others: The norm of the gradients and whether the step was taken, where these were recorded.
    """

    loss: Tensor
    metrics: Metrics
    trained: Sequence[Tensor]
    gradients: Sequence[Tensor]
    others: Sequence[Tensor]


class Program:
    """A recorded step as compiled code.

    Args:
        recorded: What was recorded; its graph is changed.
        leaves: The number of tensors of a batch.

    Attributes:
        trained: The parameters with a gradient.
        misfit: The path of the tensor of another shape, dtype or device that `fetch` found, or "".
    """

    misfit = ""

    def __init__(self, recorded: Recorded, leaves: int) -> None:
        self.trained = recorded.trained
        self._metrics = recorded.metrics
        self._shown = len(tensors_of(recorded.metrics))
        kept = _without_unused(recorded.graph)
        compute_powers_once(recorded.graph.graph)
        recorded.graph.recompile()
        self._from_batch = [number for number in kept if number < leaves]
        others = [number for number in kept if number >= leaves]
        self._others = [recorded.inputs[number] for number in others]
        self._replaced = recorded.replaced
        paths = {n: recorded.reach.paths_of(tensor) for n, tensor in enumerate(self._others)}
        self._paths = {number: found for number, found in paths.items() if found}
        self.bind(recorded.reach)
        self._takes_all = self._from_batch == [*range(leaves)]
        inputs = [recorded.inputs[number] for number in kept]
        self._run = _compiled(recorded.graph, inputs)

    def bind(self, reach: Reach) -> None:
        """Use the places of another look at what the loss and the model reach."""
        self._written = [reach.places[path] for path in self._replaced]
        self._current = [
            (number, paths[0], [reach.places[path] for path in paths])
            for number, paths in self._paths.items()
        ]

    def fetch(self) -> bool:
        """Fetch the tensors that are not parameters; return whether they are as they were recorded.

        Others may have taken their places, but a graph has fixed shapes.
        """
        for position, path, (place, *others) in self._current:
            before, now = self._others[position], place.read()
            fits = now is before or _is_alike(now, before)
            if not fits or any(other.read() is not now for other in others):
                self.misfit = path
                return False
            self._others[position] = now
        return True

    def __call__(self, leaves: Sequence[Tensor]) -> Outcome:
        """Take the step, after `fetch`.

        Args:
            leaves: The tensors of the batch.
        """
        others = self._others
        chosen = leaves if self._takes_all else [leaves[number] for number in self._from_batch]
        with torch.no_grad():
            outputs = self._run(*chosen, *others)
        first = 1 + self._shown
        second = first + len(self.trained)
        third = second + len(self._written)
        for place, value in zip(self._written, outputs[second:third], strict=True):
            place.write(value)
        metrics = with_tensors(self._metrics, outputs[1:first])
        return Outcome(outputs[0], metrics, self.trained, outputs[first:second], outputs[third:])


def _is_alike(now: Any, before: Tensor) -> bool:
    """Whether a tensor can be the input of a graph in place of another."""
    return (
        type(now) is type(before)
        and (now.shape, now.dtype, now.device) == (before.shape, before.dtype, before.device)
        and now.stride() == before.stride()
    )


def _without_unused(graph: fx.GraphModule) -> list[int]:
    """Remove the inputs that nothing uses; return the numbers of the others."""
    graph.graph.eliminate_dead_code()
    placeholders = [node for node in graph.graph.nodes if node.op == "placeholder"]
    kept = [number for number, node in enumerate(placeholders) if node.users]
    for node in placeholders:
        if not node.users:
            graph.graph.erase_node(node)
    return kept


def _compiled(graph: fx.GraphModule, inputs: Sequence[Tensor]) -> Any:
    with warnings.catch_warnings():  # torch warns of what it uses itself
        warnings.simplefilter("ignore")
        from torch._inductor import config  # takes a second to import
        from torch._inductor.compile_fx import compile_fx

    found = [node.meta.get("val") for node in graph.graph.nodes]
    largest = max((t.numel() for t in found if isinstance(t, Tensor)), default=0)
    options: dict[str, Any] = {"fallback_random": True}  # from torch's own generator
    if largest < _PARALLEL:  # threads that wait for each other take longer than the work
        options["cpp.threads"] = 1
    with torch.no_grad(), config.patch(options):
        try:
            return compile_fx(graph, [tensor.detach() for tensor in inputs])
        except Exception as error:
            raise NotCapturable(f"it cannot be compiled: {first_line(error)}") from error
