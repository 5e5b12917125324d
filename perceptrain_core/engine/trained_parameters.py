"""The parameters that several processes train, which may change during a fit."""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_

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
        self._grouped = self._in_groups()
        self._flags = self._look()
        self.current = self._trained()

    def add_new(self) -> None:
        """Give parameters that were added to an optimizer the values of the first process."""
        grouped = self._in_groups()
        # By identity: == compares the values of tensors.
        if len(grouped) == len(self._grouped) and all(map(is_, grouped, self._grouped)):
            return
        before = set(self._all)
        self._grouped, self._all = grouped, parameters_of(*self._parts)
        self._flags = []  # those of other parameters
        broadcast_tensors(p.detach() for p in self._all if p not in before)

    def update(self) -> bool:
        """Look which parameters are trained now; return whether they have changed.

        The values of new parameters are those of the first process.
        """
        self.add_new()
        flags = self._look()
        if flags == self._flags:
            return False
        self._flags, self.current = flags, self._trained()
        return True

    def _in_groups(self) -> list[Tensor]:
        """Return what changes with the parameters; a walk over the modules would take longer."""
        groups = [group for part in self._parts for group in getattr(part, "param_groups", ())]
        return [parameter for group in groups for parameter in group["params"]]

    def _look(self) -> list[bool]:
        # The flag of a parameter takes as long as 20 comparisons: only looked at once a step.
        return [parameter.requires_grad for parameter in self._all]

    def _trained(self) -> list[Tensor]:
        return [parameter for parameter in self._all if parameter.requires_grad]
