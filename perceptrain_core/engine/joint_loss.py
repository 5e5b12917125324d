"""A loss and everything it trains as one module, as DistributedDataParallel requires."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from perceptrain_core.engine.exchange import broadcast_tensors, sum_gradients
from perceptrain_core.types import LossFunction, Metrics


class JointLoss:
    """A loss whose gradients are averaged over all processes.

    ``DistributedDataParallel`` averages the gradients of a module that is called once before each
    backward pass. So the module here is the evaluation of the loss: inside it the model may be
    called several times, in part, or differentiated with respect to its inputs, and the loss sees
    the model itself, without a wrapper.

    Args:
        step_loss: The loss, as the training loop calls it.
        parameters: The trained parameters of the model, the loss and the optimizer.
        buffers: Buffers to synchronize across processes at each call.
    """

    def __init__(
        self, step_loss: LossFunction, parameters: list[Tensor], buffers: list[Tensor]
    ) -> None:
        self._step_loss, self._parameters, self._buffers = step_loss, parameters, buffers
        self._module = _Evaluation(step_loss, parameters, buffers)
        # A step need not use every parameter, and not every process the same ones.
        self._parallel = DistributedDataParallel(self._module, find_unused_parameters=True)
        #: Forwarded, for losses that count optimizer steps.
        self.begin_step = getattr(step_loss, "begin_step", None)

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the loss; its backward pass averages the gradients."""
        loss = self._parallel(batch, model)
        return loss, self._module.metrics

    def alone(self, batch: Any, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the loss in this process; its backward pass exchanges nothing."""
        return self._step_loss(batch, model)

    def sum_gradients(self) -> None:
        """Add up the gradients of all processes, after the backward passes of `alone`.

        Buffers get the values of the first process, as at each call of the loss.
        """
        sum_gradients(self._parameters)
        broadcast_tensors(self._buffers)


class _Evaluation(nn.Module):
    """One evaluation of a loss, with the parameters and buffers of other modules registered."""

    def __init__(
        self, step_loss: LossFunction, parameters: list[Tensor], buffers: list[Tensor]
    ) -> None:
        super().__init__()
        self._step_loss = [step_loss]  # in a list, so that a module is not registered twice
        # DistributedDataParallel warns if every parameter is used.
        unused = nn.Parameter(torch.zeros_like(parameters[0].detach().flatten()[:1]))
        for number, parameter in enumerate([*parameters, unused]):
            self.register_parameter(f"parameter_{number}", parameter)  # type: ignore[arg-type]
        for number, buffer in enumerate(buffers):
            self.register_buffer(f"buffer_{number}", buffer)
        self.metrics: Metrics = {}

    def forward(self, batch: Any, model: nn.Module) -> Tensor:
        # Metrics are not returned, so DDP does not wait for gradients of parameters only they use.
        loss, self.metrics = self._step_loss[0](batch, model)
        return loss
