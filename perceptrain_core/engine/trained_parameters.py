"""The parameters that several processes train, which may change during a fit."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from perceptrain_core.engine.exchange import broadcast_tensors
from perceptrain_core.parameters import parameters_of


class TrainedParameters:
    """The parameters of modules and optimizers that require gradients at the moment.

    A callback may unfreeze or freeze layers, and add parameters to the optimizer, in all processes
    alike.

    Args:
        parts: The model, the loss and the optimizer.

    Attributes:
        current: The parameters at the last call of `update`.
    """

    def __init__(self, parts: Sequence[object]) -> None:
        self._parts = parts
        self._all = parameters_of(*parts)
        self._seen = self._look()
        self.current = self._trained()

    def update(self) -> bool:
        """Look which parameters are trained now; return whether they have changed.

        The values of new parameters are those of the first process.
        """
        seen = self._look()
        if seen == self._seen:
            return False
        before = set(self._all)
        self._all = parameters_of(*self._parts)
        broadcast_tensors(p.detach() for p in self._all if p not in before)
        self._seen, self.current = self._look(), self._trained()
        return True

    def _look(self) -> tuple[list[int], list[bool]]:
        """Return what changes with the parameters; a walk over the modules would take longer."""
        groups = [group for part in self._parts for group in getattr(part, "param_groups", ())]
        own = [id(parameter) for group in groups for parameter in group["params"]]
        return own, [parameter.requires_grad for parameter in self._all]

    def _trained(self) -> list[Tensor]:
        return [parameter for parameter in self._all if parameter.requires_grad]
