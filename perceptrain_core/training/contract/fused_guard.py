"""The non-finite guard for fused optimizers on a GPU, which does not synchronize at every step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from perceptrain_core.tensors import detached
from perceptrain_core.training.contract.nonfinite_errors import find_nonfinite, nonfinite_error
from perceptrain_core.training.contract.nonfinite_guard import LossGuard
from perceptrain_core.types import LossFunction, Metrics


class FusedLossGuard(LossGuard):
    """Let a fused optimizer skip the step after a non-finite loss, and read the loss later.

    The first loss that is not finite sets a flag on the device, which the optimizer accepts as
    ``found_inf``: from then on it changes nothing. `poll` reads the flag and stops the run.

    Args:
        optimizer: A fused optimizer.
        loss_fn: The loss.
        where: Returns the position in the run, for messages.
    """

    POLL_EVERY = 64

    def __init__(
        self, optimizer: Optimizer, loss_fn: LossFunction, where: Callable[[], str]
    ) -> None:
        super().__init__(loss_fn, "raise", where, optimizer)
        device = optimizer.param_groups[0]["params"][0].device
        self.halted: Tensor = torch.zeros((), device=device)
        self._recent: list[tuple[Tensor, Metrics, str]] = []
        self._model: nn.Module

    @staticmethod
    def fits(optimizer: Any, device: torch.device) -> bool:
        """Whether the optimizer accepts ``found_inf``, and reading the loss would be slow."""
        fused = getattr(optimizer, "_step_supports_amp_scaling", False)
        return device.type == "cuda" and bool(fused)

    def _check_finite(self, loss: Tensor, metrics: Metrics, model: nn.Module) -> None:
        self._model = model
        bad = torch.isfinite(loss.detach()).logical_not_().to(torch.float32)
        torch.maximum(self.halted, bad, out=self.halted)
        self._optimizer.found_inf = self.halted
        self._recent.append((loss.detach(), detached(metrics), self._where()))
        if len(self._recent) >= self.POLL_EVERY:
            self.poll()

    def poll(self) -> None:
        """Read the flag.

        Raises:
            NonFiniteLossError: A loss since the last call was NaN or infinite.
        """
        if not self._recent:
            return
        recent, self._recent = self._recent, []
        if self.halted.item():
            self.release()
            loss, metrics, where = next(one for one in recent if not torch.isfinite(one[0]))
            raise nonfinite_error(find_nonfinite(loss, metrics), where, self._model)

    def release(self) -> None:
        """Remove the flag from the optimizer."""
        super().release()
        self._optimizer.__dict__.pop("found_inf", None)
