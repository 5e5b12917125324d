"""What the terms of a loss are differentiated by, and whether that is all they depend on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from weakref import ref

from torch import Tensor, nn

from perceptrain_core.errors import TrainingError
from perceptrain_core.tensors import graph_nodes, parts_of

_EVERY = 100


class Leaves:
    """Finds the parameters that terms reach, beside those of the model.

    Such as the unknown coefficient of an equation, which only a function knows. To find it the
    graphs of the terms are walked, which takes as long as a step: so at the first two looks, then
    now and then, and whenever there are other terms or another model.
    """

    def __init__(self) -> None:
        self._model: Any = _nothing
        self._names: tuple[str, ...] = ()
        self._looks = 0
        self._beside: list[nn.Parameter] = []
        self._others: list[Any] = []
        self._complete = False
        self._restored = False

    def state(self) -> dict[str, Any]:
        """Give what a checkpoint keeps, so that a resumed run takes every step in the same way."""
        return {"looks": self._looks, "complete": self._complete, "names": list(self._names)}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._looks, self._complete = state["looks"], state["complete"]
        self._names = tuple(state["names"])
        self._model, self._restored = _nothing, True

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
            batch: What they were computed from.
            model: The model.
            modules: The model, and whatever else has parameters.

        Returns:
            All trainable parameters of the modules, with those that the terms reach beside them;
            and whether nothing else can be waiting for a gradient.

        Raises:
            TrainingError: There is none, or autograd cannot find them.
        """
        own = [p for module in modules for p in module.parameters() if p.requires_grad]
        if self._model() is not model or self._names != (*terms,):
            self._begin(terms, own, model)
        elif self._looks < 2 or self._looks % _EVERY == 0:
            self._look(terms, own)
        self._looks += 1
        beside = [p for p in self._beside if p.requires_grad]
        if own or beside:
            return [*own, *beside], self._complete and not _records_gradients(batch)
        raise TrainingError(
            f"{type(model).__name__} has no trainable parameter, so its terms have no gradients "
            "to weigh. Set requires_grad on its parameters; a tensor that is to be trained must be "
            "a torch.nn.Parameter."
        )

    def _begin(
        self, terms: Mapping[str, Tensor], own: Sequence[nn.Parameter], model: nn.Module
    ) -> None:
        goes_on = self._restored and self._names == (*terms,)
        looks, complete = (self._looks, self._complete) if goes_on else (0, False)
        self._model, self._names, self._others = ref(model), (*terms,), []
        self._looks, self._restored = looks, False
        self._look(terms, own)
        if looks > 1:  # what is there again was seen before the resume
            self._complete = complete

    def _look(self, terms: Mapping[str, Tensor], own: Sequence[nn.Parameter]) -> None:
        known = {id(p) for p in own}
        reached = [leaf for leaf in _leaves(terms.values()) if id(leaf) not in known]
        found = [leaf for leaf in reached if isinstance(leaf, nn.Parameter)]
        frozen = [p for p in self._beside if not p.requires_grad]
        self._beside = [*found, *(p for p in frozen if all(p is not q for q in found))]
        # Points are made anew in each step. What is there again is waiting for its gradient; at
        # the first look that cannot be told apart.
        others = [leaf for leaf in reached if not isinstance(leaf, nn.Parameter)]
        before = [other() for other in self._others]
        again = any(leaf is old for leaf in others for old in before)
        self._complete = not others or (self._looks > 0 and not again)
        self._others = [ref(leaf) for leaf in others]


def _nothing() -> None:
    """Stand for a reference to a model that is not there."""


def _records_gradients(batch: Any) -> bool:
    if isinstance(batch, Tensor):
        return batch.requires_grad
    return any(_records_gradients(part) for part in parts_of(batch) or ())


def _leaves(terms: Iterable[Tensor]) -> list[Tensor]:
    """Give the tensors that graphs end in."""
    found = []
    for node in graph_nodes(terms):
        if type(node).__name__ == "CheckpointFunctionBackward":
            raise TrainingError(
                "The model uses torch.utils.checkpoint with use_reentrant=True, which hides its "
                "parameters from the gradients of single terms. Pass use_reentrant=False."
            )
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor):
            found.append(variable)
    return found
