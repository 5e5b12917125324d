"""A schedule-free SGD in a few lines, as an optimizer that evaluates other weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class ScheduleFree(Optimizer):
    """SGD at ``y = b x + (1 - b) z``; ``x`` is the mean of the ``z``, and is evaluated."""

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1, b: float = 0.9) -> None:
        super().__init__(params, {"lr": lr, "b": b, "train_mode": True, "steps": 0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            assert group["train_mode"], "a step on the weights to evaluate"
            group["steps"] += 1
            for p in group["params"]:
                state, b = self.state[p], group["b"]
                z = state.setdefault("z", p.clone())
                x = (p - (1 - b) * z) / b
                z.sub_(p.grad, alpha=group["lr"])
                x.lerp_(z, 1 / group["steps"])
                p.copy_(b * x + (1 - b) * z)

    @torch.no_grad()
    def _switch(self, train: bool) -> None:
        for group in self.param_groups:
            if group["train_mode"] is not train:
                group["train_mode"] = train
                weight = 1 - group["b"] if train else 1 - 1 / group["b"]
                for p in group["params"]:
                    if "z" in self.state[p]:
                        p.lerp_(self.state[p]["z"], weight)

    def train(self) -> None:
        self._switch(True)

    def eval(self) -> None:
        self._switch(False)
