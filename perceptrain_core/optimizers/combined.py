"""Several optimizers of torch as one, each for some of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.optim import Optimizer

from perceptrain_core.errors import TrainingError
from perceptrain_core.optimizer_modes import begin_training, end_training
from perceptrain_core.optimizer_steps import can_be_part


class CombinedOptimizer(Optimizer):
    """Several optimizers as one, for instance ``Muon`` for matrices and ``AdamW`` for the rest.

    A step is a step of each. Its ``param_groups`` are those of all the optimizers, so that
    learning-rate schedules see them all; the key ``"optimizer"`` of a group has the name of its
    optimizer. ``state_dict()`` contains the state of all.

    Args:
        optimizers: The optimizers by name, with different parameters. A group of parameters that is
            added later belongs to the first.

    Raises:
        TrainingError: There are none, one is not an optimizer of torch or evaluates the loss
            itself, as L-BFGS and Gauss-Newton do, or a parameter has two optimizers.
    """

    def __init__(self, optimizers: Mapping[str, Optimizer]) -> None:
        for name, optimizer in optimizers.items():
            _check(name, optimizer)
        if not optimizers:
            raise TrainingError("CombinedOptimizer got no optimizers; expected one or more.")
        self.optimizers = dict(optimizers)
        groups: list[dict[str, Any]] = []
        state: dict[Any, Any] = {}
        for name, optimizer in self.optimizers.items():
            groups += [group | {"optimizer": name} for group in optimizer.param_groups]
            state.update(optimizer.state)
        try:
            super().__init__(groups, {})
        except ValueError as error:
            raise TrainingError(
                f"CombinedOptimizer: {error}; expected one optimizer each."
            ) from None
        self.state.update(state)

    def _share(self) -> None:
        """Make each optimizer use the groups and the state of this one."""
        for name, optimizer in self.optimizers.items():
            optimizer.param_groups = [g for g in self.param_groups if g["optimizer"] == name]
            optimizer.state = self.state

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "optimizers": self.optimizers}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # load_state_dict calls this too, with new groups and a new state.
        super().__setstate__(state)
        self._share()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters; unless the group names its ``"optimizer"``, the first one gets them."""
        if "optimizer" not in param_group:
            name, first = next(iter(self.optimizers.items()))
            param_group |= {key: v for key, v in first.defaults.items() if key not in param_group}
            param_group["optimizer"] = name
        super().add_param_group(param_group)
        self._share()

    def train(self) -> None:
        """Switch each optimizer that evaluates other weights to those that it trains."""
        for optimizer in self.optimizers.values():
            begin_training(optimizer)

    def eval(self) -> None:
        """Switch each optimizer that evaluates other weights to those that it evaluates."""
        for optimizer in self.optimizers.values():
            end_training(optimizer)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Let each optimizer take a step.

        Args:
            closure: Clears the gradients, computes the loss and its gradients, and returns the
                loss; called once. Not needed if the gradients are set.

        Returns:
            What the closure returned; ``None`` without one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for optimizer in self.optimizers.values():
            optimizer.step()
        return loss


def _check(name: str, optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TrainingError(
            f"{name!r} is of type {type(optimizer).__name__}; expected a torch.optim.Optimizer, as "
            "each part has some of the parameters."
        )
    if not can_be_part(optimizer):
        raise TrainingError(
            f"{type(optimizer).__name__} evaluates the loss several times a step, so it must have "
            "all parameters: it cannot be combined with another optimizer."
        )
