"""A loss and all that it trains as one module, which is how DistributedDataParallel wants it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from perceptrain_core.types import LossFunction, Metrics


class JointLoss:
    """A loss whose gradients are the means over all processes.

    ``DistributedDataParallel`` averages the gradients of a module that is called once before each
    backward pass. So the module here is the evaluation of the loss: inside it the model may be
    called several times, in part, or differentiated with respect to its inputs, and the loss sees
    the model itself, without a wrapper.

    Args:
        step_loss: The loss, as the training loop calls it.
        parameters: Every parameter that is trained: of the model, the loss, and the optimizer.
        buffers: What is to be the same in all processes at each call.
    """

    def __init__(
        self, step_loss: LossFunction, parameters: list[nn.Parameter], buffers: list[Tensor]
    ) -> None:
        self._module = _Evaluation(step_loss, parameters, buffers)
        # A step need not use every parameter, and not every process the same ones.
        self._parallel = DistributedDataParallel(self._module, find_unused_parameters=True)
        #: A loss that counts steps is told of them.
        self.begin_step = getattr(step_loss, "begin_step", None)

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the loss; its backward pass averages the gradients."""
        loss = self._parallel(batch, model)
        return loss, self._module.metrics


class _Evaluation(nn.Module):
    """One evaluation of a loss; what it trains is listed here, and lives elsewhere."""

    def __init__(
        self, step_loss: LossFunction, parameters: list[nn.Parameter], buffers: list[Tensor]
    ) -> None:
        super().__init__()
        self._step_loss = [step_loss]  # in a list, so that a module does not count twice
        # DistributedDataParallel prints a warning where it finds every parameter used.
        unused = nn.Parameter(torch.zeros_like(parameters[0].detach().flatten()[:1]))
        for number, parameter in enumerate([*parameters, unused]):
            self.register_parameter(f"parameter_{number}", parameter)
        for number, buffer in enumerate(buffers):
            self.register_buffer(f"buffer_{number}", buffer)
        self.metrics: Metrics = {}

    def forward(self, batch: Any, model: nn.Module) -> Tensor:
        # The metrics stay aside: parameters that only they depend on have no gradient to wait for.
        loss, self.metrics = self._step_loss[0](batch, model)
        return loss


def trained_parameters(parts: list[Any]) -> list[nn.Parameter]:
    """Give each parameter that modules and optimizers have, once, in their order."""
    found = {id(p): p for part in parts for p in _parameters(part) if p.requires_grad}
    return list(found.values())


def buffers_of(parts: list[Any]) -> list[Tensor]:
    """Give each buffer that modules have, once, in their order."""
    modules = [part for part in parts if isinstance(part, nn.Module)]
    return list({id(b): b for module in modules for b in module.buffers()}.values())


def _parameters(part: Any) -> Iterator[nn.Parameter]:
    if isinstance(part, nn.Module):
        yield from part.parameters()
    for group in getattr(part, "param_groups", ()):
        yield from group["params"]
