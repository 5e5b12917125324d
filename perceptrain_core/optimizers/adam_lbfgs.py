"""Adam to get near, L-BFGS to get there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch.optim import LBFGS, Adam, Optimizer
from torch.optim.optimizer import ParamsT

from perceptrain_core.errors import ConfigError, TrainingError


class AdamLBFGS(Optimizer):
    """Adam for the first epochs, L-BFGS for the others; the usual way to train a PINN.

    Both are torch's own and take the very steps that they take alone. The epochs are those that
    the trainer tells by `begin_epoch`; in a loop of your own, call it. ::

        optimizer = AdamLBFGS(model.parameters(), switch_epoch=100, adam_kwargs={"lr": 1e-3})
        for epoch in range(1, 201):
            optimizer.begin_epoch(epoch)
            optimizer.step(closure)

    There is one group of parameters, with the options of both; its ``lr`` is that of the one that
    is active, so that learning-rate schedules act on it. At the switch ``lr`` becomes the one of
    ``lbfgs_kwargs``, and the moments of Adam are let go. All that makes up where it stands is in
    ``state_dict()``, also the epoch of the switch.

    Args:
        params: The parameters, or a list of one group of them.
        switch_epoch: The number of epochs with Adam, counted from the first; with 0 it is L-BFGS
            from the start.
        adam_kwargs: Options of ``torch.optim.Adam``.
        lbfgs_kwargs: Options of ``torch.optim.LBFGS``.

    Raises:
        ConfigError: ``switch_epoch`` is no whole number of at least 0.
        TrainingError: There are several groups of parameters, which L-BFGS cannot have.
    """

    def __init__(
        self,
        params: ParamsT,
        switch_epoch: int,
        adam_kwargs: Mapping[str, Any] | None = None,
        lbfgs_kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        if isinstance(switch_epoch, bool) or not isinstance(switch_epoch, int) or switch_epoch < 0:
            raise ConfigError(
                f"switch_epoch={switch_epoch!r}: expected a whole number of at least 0, the "
                "number of epochs with Adam before L-BFGS takes over."
            )
        adam = Adam(params, **(adam_kwargs or {}))
        lbfgs = LBFGS(adam.param_groups[0]["params"], **(lbfgs_kwargs or {}))
        # What a checkpoint must hold lives in the group, as every option of an optimizer does.
        own = {
            "switch_epoch": switch_epoch,
            "adam_lr": adam.param_groups[0]["lr"],
            "lbfgs_lr": lbfgs.defaults["lr"],
            "lbfgs_active": False,
        }
        super().__init__(adam.param_groups, {**lbfgs.defaults, **adam.defaults, **own})
        self._make_parts()
        self.begin_epoch(1)

    def _make_parts(self) -> None:
        """Make Adam and L-BFGS work on the group and the state of this object."""
        params = self.param_groups[0]["params"]
        self._adam, self._lbfgs = Adam(params), LBFGS(params)
        for part in (self._adam, self._lbfgs):
            part.defaults, part.param_groups, part.state = (
                self.defaults,
                self.param_groups,
                self.state,
            )

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Also what load_state_dict ends in: group and state are new objects then.
        super().__setstate__(state)
        self._make_parts()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the one group of parameters.

        Raises:
            TrainingError: There is one already.
        """
        if self.param_groups:
            raise TrainingError(
                "AdamLBFGS takes one group of parameters only, for L-BFGS does: make it with all "
                "of them, e.g. AdamLBFGS([*model.parameters(), *loss_fn.parameters()], ...)."
            )
        super().add_param_group(param_group)

    @property
    def needs_closure(self) -> bool:
        """Whether the next step needs a closure: that of L-BFGS does."""
        return bool(self.param_groups[0]["lbfgs_active"])

    def begin_epoch(self, epoch: int) -> None:
        """Say which epoch begins; the first is 1.

        L-BFGS takes over in epoch ``switch_epoch + 1``. A new training that counts from 1 again
        begins with Adam again.
        """
        group = self.param_groups[0]
        lbfgs_active = epoch > group["switch_epoch"]
        if lbfgs_active == group["lbfgs_active"]:
            return
        group["lbfgs_active"] = lbfgs_active
        group["lr"] = group["lbfgs_lr"] if lbfgs_active else group["adam_lr"]
        self.state.clear()

    def step(self, closure: Callable[[], Any] | None = None) -> Tensor | None:  # type: ignore[override]
        """Take one step.

        Args:
            closure: Clears the gradients, computes the loss and its gradients, and returns the
                loss. Adam can do without, if the gradients are there.

        Returns:
            The loss before the step, as the closure gave it; ``None`` without a closure.

        Raises:
            TrainingError: L-BFGS is active and there is no closure.
        """
        active: Any = self._lbfgs if self.needs_closure else self._adam
        if closure is None and self.needs_closure:
            raise TrainingError(
                "AdamLBFGS has switched to L-BFGS, which evaluates the loss several times a step: "
                "call step(closure) with a function that clears the gradients, computes the loss, "
                "calls its backward(), and returns it."
            )
        loss: Tensor | None = active.step(closure)
        return loss
