"""Lookahead around another optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from perceptrain.errors import ConfigError
from perceptrain_optimizers.optimizers.around import Around


class Lookahead(Around):
    """Every ``k`` steps, go back part of the way (Zhang et al., arXiv 1907.08610).

    The weights become ``slow + alpha (weights - slow)``, which are the next slow weights.

    Args:
        params: The parameters, or groups of them.
        base: The name of another optimizer, or a mapping with a name and options.
        k: Steps of the other optimizer between two.
        alpha: The part of the way that is kept, in (0, 1].

    Raises:
        ConfigError: An option is not valid.
    """

    def __init__(
        self,
        params: Iterable[Any],
        base: str | Mapping[str, Any] = "adam",
        k: int = 5,
        alpha: float = 0.5,
    ) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise ConfigError(f"k={k!r}: expected a whole number of at least 1.")
        if not 0 < alpha <= 1:
            raise ConfigError(f"alpha={alpha!r}: expected a number above 0, and at most 1.")
        super().__init__(params, base, {"k": k, "alpha": alpha, "steps": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step of the other optimizer, and every ``k`` of them one back.

        Args:
            closure: Computes the loss and its gradients, and returns the loss; called once. Not
                needed if the gradients are set.

        Returns:
            What the closure returned; ``None`` without one.
        """
        result = None
        if closure is not None:
            with torch.enable_grad():
                result = closure()
        trained = [p for g in self.param_groups for p in g["params"] if p.grad is not None]
        # An optimizer may take a parameter whose state is not empty for one it has seen before.
        first = {p: p.clone() for p in trained if "slow" not in self.state.get(p, {})}
        self.base.step()
        for p, value in first.items():
            self.state[p]["slow"] = value
        for group in self.param_groups:
            group["steps"] += 1
            if group["steps"] % group["k"]:
                continue
            for p in group["params"]:
                if "slow" in self.state.get(p, {}):
                    p.copy_(self.state[p]["slow"].lerp_(p, group["alpha"]))
        return result
