"""A loss whose gradients are those of all processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.variable import Variable

from perceptrain_core.engine.exchange import broadcast_tensors
from perceptrain_core.engine.gradient_sum import GradientSum
from perceptrain_core.engine.trained_parameters import TrainedParameters
from perceptrain_core.types import LossFunction, Metrics


class JointLoss:
    """A loss whose gradients are averaged over all processes.

    The gradients are exchanged when the backward pass has computed them, so it does not matter how
    the loss is computed: the model may be called several times, in part, or differentiated with
    respect to its inputs, and the loss sees the model itself, without a wrapper.

    Args:
        step_loss: The loss, as the training loop calls it.
        parameters: The parameters of the model, the loss and the optimizer.
        buffers: Buffers to synchronize across processes at each call.

    Attributes:
        step_loss: The loss.
        carries: Whether numbers can travel with the gradients.
    """

    carries = True

    def __init__(
        self, step_loss: LossFunction, parameters: TrainedParameters, buffers: list[Tensor]
    ) -> None:
        self.step_loss = step_loss
        self._buffers = buffers
        self._parameters = parameters
        self._sum = GradientSum(parameters.current)
        #: Forwarded, for losses that count optimizer steps.
        self.begin_step = getattr(step_loss, "begin_step", None)

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the loss; its backward pass averages the gradients."""
        loss, metrics = self.alone(batch, model)
        self._follow()
        if loss.requires_grad:
            loss = _Averaged.apply(loss, self._sum)  # type: ignore[no-untyped-call]
        return loss, metrics

    def alone(self, batch: Any, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the loss in this process; its backward pass exchanges nothing by itself."""
        self._parameters.add_new()
        if self._buffers:
            broadcast_tensors(self._buffers)
        return self.step_loss(batch, model)

    def _follow(self) -> None:
        """Exchange what is trained now: a callback or the loss may unfreeze or add parameters."""
        if self._parameters.update():
            self._sum.replace(self._parameters.current)

    def start_sum(self) -> None:
        """Send the gradients while the coming backward pass computes them, until `sum_gradients`.

        That pass has to be the last before. Without this, all are sent at the end.
        """
        self._follow()
        self._sum.start()

    def sum_gradients(self, numbers: Sequence[float] = ()) -> list[float]:
        """Replace the gradients by their sums over all processes.

        Each process has to call it, even if it has no gradients.

        Args:
            numbers: As many in each process. They travel with the gradients: an exchange of their
                own would cost as much as that of the gradients of a small model.

        Returns:
            The sums of the numbers over all processes.
        """
        if not self._sum.is_open:
            self._follow()
        return self._sum.finish(numbers)


class _Averaged(torch.autograd.Function):
    """A loss whose backward pass ends with the exchange of the gradients."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: GradientSum) -> Tensor:
        ctx.gradients = gradients
        return loss.view_as(loss)

    @staticmethod
    def backward(ctx: Any, *scales: Tensor) -> Any:
        if not ctx.gradients.is_open:
            ctx.gradients.start()
            # Called at the end of the backward pass.
            Variable._execution_engine.queue_callback(ctx.gradients.average)
        return scales[0], None
