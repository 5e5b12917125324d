"""Adam for the first epochs, then L-BFGS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.optim import LBFGS, Adam, Optimizer
from torch.optim.optimizer import ParamsT

from perceptrain_core.errors import TrainingError
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.user_warnings import warn_user


class AdamLBFGS(Optimizer):
    """Adam for the first epochs, then L-BFGS, as is common for PINNs.

    The steps are exactly those of ``torch.optim.Adam`` and ``torch.optim.LBFGS``. The trainer calls
    `begin_epoch`; in your own training loop, call it yourself. If `begin_epoch` is never called,
    each step counts as an epoch, and the switch causes a warning. ::

        optimizer = AdamLBFGS(model.parameters(), switch_epoch=100, adam_kwargs={"lr": 1e-3})
        for epoch in range(1, 201):
            optimizer.begin_epoch(epoch)
            optimizer.step(closure)

    There is one parameter group, with the options of both. Its ``lr`` is the learning rate of the
    active optimizer, so learning-rate schedules work. At the switch, ``lr`` is set to the one in
    ``lbfgs_kwargs``, and the moments of Adam are discarded. ``state_dict()`` contains the whole
    state, including ``switch_epoch``.

    Args:
        params: The parameters, or a list with one parameter group.
        switch_epoch: The number of epochs with Adam, by default 100; 0 means L-BFGS from the start.
        adam_kwargs: Options of ``torch.optim.Adam``.
        lbfgs_kwargs: Options of ``torch.optim.LBFGS``.

    Raises:
        ConfigError: ``switch_epoch`` is not a whole number of at least 0.
        TrainingError: There are several parameter groups, which L-BFGS does not support.
    """

    def __init__(
        self,
        params: ParamsT,
        switch_epoch: int = 100,
        adam_kwargs: Mapping[str, Any] | None = None,
        lbfgs_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        faults = number_faults({"switch_epoch": switch_epoch}, whole=True, at_least=0)
        meaning = ", the number of epochs with Adam before L-BFGS"
        refuse("AdamLBFGS", [fault + meaning for fault in faults])
        adam = Adam(params, **(adam_kwargs or {}))
        lbfgs = LBFGS(adam.param_groups[0]["params"], **(lbfgs_kwargs or {}))
        # Kept in the group, because checkpoints save it with the other options.
        own = {
            "switch_epoch": int(switch_epoch),
            "adam_lr": adam.param_groups[0]["lr"],
            "lbfgs_lr": lbfgs.defaults["lr"],
            "lbfgs_active": False,
            "counted_steps": 0,  # None once begin_epoch was called
        }
        super().__init__(adam.param_groups, {**lbfgs.defaults, **adam.defaults, **own})
        self._make_parts()
        self._select(1)

    def _make_parts(self) -> None:
        """Make Adam and L-BFGS share the parameter group and the state of this optimizer."""
        params = self.param_groups[0]["params"]
        self._adam, self._lbfgs = Adam(params), LBFGS(params)
        for part in (self._adam, self._lbfgs):
            part.defaults, part.param_groups, part.state = (
                self.defaults,
                self.param_groups,
                self.state,
            )

    def __setstate__(self, state: dict[str, Any]) -> None:
        # load_state_dict calls this too, with a new group and a new state.
        super().__setstate__(state)
        self._make_parts()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add the parameter group; there can be only one.

        Raises:
            TrainingError: There is a parameter group already.
        """
        if self.param_groups:
            raise TrainingError(
                "AdamLBFGS accepts one group of parameters only, because L-BFGS does: pass all "
                "parameters, e.g. AdamLBFGS([*model.parameters(), *loss_fn.parameters()], ...)."
            )
        super().add_param_group(param_group)

    @property
    def needs_closure(self) -> bool:
        """Whether the next step needs a closure, as the steps of L-BFGS do."""
        return bool(self.param_groups[0]["lbfgs_active"])

    def begin_epoch(self, epoch: int) -> None:
        """Select the optimizer of an epoch, counted from 1.

        L-BFGS is active from epoch ``switch_epoch + 1``. Going back to epoch 1 switches back to
        Adam.
        """
        self.param_groups[0]["counted_steps"] = None
        self._select(epoch)

    def _select(self, epoch: int) -> bool:
        """Select the optimizer of an epoch; return whether it has changed."""
        group = self.param_groups[0]
        lbfgs_active = epoch > group["switch_epoch"]
        if lbfgs_active == group["lbfgs_active"]:
            return False
        group["lbfgs_active"] = lbfgs_active
        group["lr"] = group["lbfgs_lr"] if lbfgs_active else group["adam_lr"]
        self.state.clear()
        return True

    def _count_step(self) -> None:
        """Count a step as an epoch in a loop that does not call `begin_epoch`."""
        group = self.param_groups[0]
        if group["counted_steps"] is None:
            return
        group["counted_steps"] += 1
        if self._select(group["counted_steps"]):
            warn_user(
                f"AdamLBFGS switches to L-BFGS after {group['switch_epoch']} steps: begin_epoch "
                "was never called, so each step counted as an epoch. To count epochs, call "
                "optimizer.begin_epoch(epoch) at the start of each one, counted from 1.",
            )

    def step(self, closure: Callable[[], Any] | None = None) -> Tensor | None:  # type: ignore[override]
        """Take one step.

        Args:
            closure: Clears the gradients, computes the loss and its gradients, and returns the
                loss. Adam does not need it if the gradients are set.

        Returns:
            The loss before the step, as returned by the closure; ``None`` without a closure.

        Raises:
            TrainingError: L-BFGS is active and there is no closure.

        Warns:
            UserWarning: This step switches to L-BFGS, and `begin_epoch` was never called.
        """
        self._count_step()
        active: Any = self._lbfgs if self.needs_closure else self._adam
        if closure is None and self.needs_closure:
            raise TrainingError(
                "AdamLBFGS has switched to L-BFGS, which evaluates the loss several times per "
                "step: call step(closure) with a function that clears the gradients, computes the "
                "loss, calls its backward(), and returns it."
            )
        loss: Tensor | None = active.step(closure)
        return loss
