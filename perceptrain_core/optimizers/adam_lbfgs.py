"""Adam for the first epochs, then L-BFGS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch.optim import LBFGS, Adam
from torch.optim.optimizer import ParamsT

from perceptrain_core.optimizers.sequential import SequentialOptimizer
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.parameters import parameters_of


class AdamLBFGS(SequentialOptimizer):
    """Adam for the first epochs, then L-BFGS, as is common for PINNs.

    The steps are exactly those of ``torch.optim.Adam`` and ``torch.optim.LBFGS``. The trainer calls
    `begin_epoch`; in your own training loop, call it yourself. If `begin_epoch` is never called,
    each step counts as an epoch, and the switch causes a warning. ::

        optimizer = AdamLBFGS(model.parameters(), switch_epoch=100, adam_kwargs={"lr": 1e-3})
        for epoch in range(1, 201):
            optimizer.begin_epoch(epoch)
            optimizer.step(closure)

    There is one parameter group, that of the active optimizer, so learning-rate schedules work. At
    the switch, ``lr`` becomes the one in ``lbfgs_kwargs``, times the factor of a schedule, and the
    moments of Adam are discarded. ``state_dict()`` contains the whole state, including
    ``switch_epoch``.

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
        lbfgs = LBFGS(parameters_of(adam), **(lbfgs_kwargs or {}))
        super().__init__(parameters_of(adam), [adam, lbfgs], [switch_epoch])
