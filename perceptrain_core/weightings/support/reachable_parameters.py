"""The parameters that the terms of a loss depend on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import ReferenceType, ref

from torch import Tensor, nn

from perceptrain_core.errors import TrainingError
from perceptrain_core.tensors import graph_nodes, parts_of

_SEARCH_EVERY = 100


class ReachableParameters:
    """Finds the parameters that the terms reach, including those outside the model.

    For example, the unknown coefficient of an equation, which only a function holds. Finding it
    means walking the graphs of the terms, which takes as long as a step. So the graphs are searched
    at the first two calls, at every hundredth, and whenever the terms or the model change.
    """

    def __init__(self) -> None:
        self._model: ReferenceType[nn.Module] | None = None
        self._names: tuple[str, ...] = ()
        self._calls = 0
        self._outside: list[nn.Parameter] = []
        self._others: list[ReferenceType[Tensor]] = []
        self._complete = False
        self._restored = False

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint saves, so that a resumed run repeats every step exactly."""
        return {"calls": self._calls, "complete": self._complete, "names": list(self._names)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore what `state` returned."""
        self._calls, self._complete = state["calls"], state["complete"]
        self._names = tuple(state["names"])
        self._model, self._restored = None, True

    def find(
        self,
        terms: Mapping[str, Tensor],
        batch: Any,
        model: nn.Module,
        modules: Sequence[nn.Module],
    ) -> tuple[list[nn.Parameter], bool]:
        """Find the parameters.

        Args:
            terms: Tensors with their graphs.
            batch: The batch they were computed from.
            model: The model.
            modules: The model, and other modules with parameters.

        Returns:
            All trainable parameters of the modules and those outside them that the terms reach;
            and whether no other tensor can need a gradient.

        Raises:
            TrainingError: There are none, or autograd cannot find them.
        """
        own = _trainable(modules)
        if self._model is None or self._model() is not model or self._names != (*terms,):
            self._start(terms, own, model)
        elif self._calls < 2 or self._calls % _SEARCH_EVERY == 0:
            self._search(terms, own)
        self._calls += 1
        parameters = [*own, *(p for p in self._outside if p.requires_grad)]
        if parameters:
            return parameters, self._complete and not _records_gradients(batch)
        raise TrainingError(
            f"{type(model).__name__} has no trainable parameter, so its terms have no gradients "
            "to weight. Set requires_grad on its parameters; a tensor to be trained must be a "
            "torch.nn.Parameter."
        )

    def _start(
        self, terms: Mapping[str, Tensor], own: Sequence[nn.Parameter], model: nn.Module
    ) -> None:
        resumes = self._restored and self._names == (*terms,)
        calls, complete = (self._calls, self._complete) if resumes else (0, False)
        self._model, self._names, self._others = ref(model), (*terms,), []
        self._calls, self._restored = calls, False
        self._search(terms, own)
        if calls > 1:  # the same leaves were compared before the resume
            self._complete = complete

    def _search(self, terms: Mapping[str, Tensor], own: Sequence[nn.Parameter]) -> None:
        known = set(own)
        leaves = [leaf for leaf in _leaves(terms.values()) if leaf not in known]
        found = [leaf for leaf in leaves if isinstance(leaf, nn.Parameter)]
        frozen = [p for p in self._outside if not p.requires_grad]
        self._outside = [*dict.fromkeys([*found, *frozen])]
        # Points are new tensors in each step. A leaf that is there again needs its gradient; at
        # the first search there is nothing to compare with.
        others = [leaf for leaf in leaves if not isinstance(leaf, nn.Parameter)]
        before = {other() for other in self._others}
        self._complete = not others or (self._calls > 0 and before.isdisjoint(others))
        self._others = [ref(leaf) for leaf in others]


def _trainable(modules: Sequence[nn.Module]) -> list[nn.Parameter]:
    """Return the trainable parameters of modules, in the order of ``parameters()``."""
    # Not by ``parameters()``, whose search for names takes up to 5% of a small step.
    found: dict[int, nn.Parameter] = {}
    stack: list[nn.Module | None] = [*reversed(modules)]
    while stack:
        module = stack.pop()
        if module is None:
            continue
        for parameter in module._parameters.values():
            if parameter is not None and parameter.requires_grad:
                found[id(parameter)] = parameter
        stack.extend(reversed(module._modules.values()))
    return [*found.values()]


def _records_gradients(batch: Any) -> bool:
    if isinstance(batch, Tensor):
        return batch.requires_grad
    return any(_records_gradients(part) for part in parts_of(batch) or ())


def _leaves(terms: Iterable[Tensor]) -> list[Tensor]:
    """Return the leaf tensors of graphs."""
    leaves = []
    for node in graph_nodes(terms):
        if type(node).__name__ == "CheckpointFunctionBackward":
            raise TrainingError(
                "The model uses torch.utils.checkpoint with use_reentrant=True, which hides its "
                "parameters from the gradients of single terms. Pass use_reentrant=False."
            )
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor):
            leaves.append(variable)
    return leaves
