"""Sharpness-aware minimization around another optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from perceptrain.errors import ConfigError
from perceptrain_optimizers.optimizers.around import Around


class SAM(Around):
    """Follow the gradient at the worst point nearby (Foret et al., arXiv 2010.01412).

    Each step evaluates the loss twice: at the weights ``w``, whose gradient is ``g``, and at
    ``w + rho g / |g|``. The other optimizer uses the second gradient at ``w``.

    Args:
        params: The parameters, or groups of them.
        base: The name of another optimizer, or a mapping with a name and options.
        rho: The distance of the second point.
        adaptive: Measure the distance relative to the weights (ASAM, arXiv 2102.11600); ``rho`` is
            then best about ten times as large.

    Raises:
        ConfigError: An option is not valid.
    """

    def __init__(
        self,
        params: Iterable[Any],
        base: str | Mapping[str, Any] = "sgd",
        rho: float = 0.05,
        adaptive: bool = False,
    ) -> None:
        if not rho > 0:
            raise ConfigError(f"rho={rho!r}: expected a number above 0.")
        super().__init__(params, base, {"rho": rho, "adaptive": adaptive})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Take a step.

        Args:
            closure: Clears the gradients, computes the loss and its gradients, and returns the
                loss; called twice.

        Returns:
            The loss at the weights from before the step.
        """
        with torch.enable_grad():
            loss = closure()
        before = self._ascend()
        with torch.enable_grad():
            closure()
        for p, value in before.items():
            p.copy_(value)
        self.base.step()
        return loss

    def _ascend(self) -> dict[Tensor, Tensor]:
        """Move to the second point; return the weights from before."""
        pairs = [(p, g) for g in self.param_groups for p in g["params"] if p.grad is not None]
        if not pairs:
            return {}
        scales = [p.abs() if group["adaptive"] else torch.ones_like(p) for p, group in pairs]
        scaled = [s * p.grad for (p, _), s in zip(pairs, scales, strict=True)]
        norm = torch.stack([s.norm() for s in scaled]).norm() + 1e-12
        before = {p: p.clone() for p, _ in pairs}
        for (p, group), factor, direction in zip(pairs, scales, scaled, strict=True):
            p.add_(factor * direction * (group["rho"] / norm))
        return before
