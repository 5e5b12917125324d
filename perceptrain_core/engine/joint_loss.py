"""A loss and everything it trains as one module, as DistributedDataParallel requires."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from perceptrain_core.engine.exchange import broadcast_tensors, sum_gradients
from perceptrain_core.types import Count, LossFunction, Metrics, SkipBatch, StepResult

#: How many numbers can travel with the gradients of a step.
CARGO = 3


class JointLoss:
    """A loss whose gradients are averaged over all processes.

    ``DistributedDataParallel`` averages the gradients of a module that is called once before each
    backward pass. So the module here is the evaluation of the loss: inside it the model may be
    called several times, in part, or differentiated with respect to its inputs, and the loss sees
    the model itself, without a wrapper.

    Numbers that all processes need after the backward pass can travel with the gradients, as the
    gradient of a parameter that is always zero. That costs nothing; an exchange of their own costs
    as much as that of the gradients of a small model.

    Args:
        step_loss: The loss, as the training loop calls it.
        parameters: The trained parameters of the model, the loss and the optimizer.
        buffers: Buffers to synchronize across processes at each call.

    Attributes:
        step_loss: The loss.
    """

    def __init__(
        self, step_loss: LossFunction, parameters: list[Tensor], buffers: list[Tensor]
    ) -> None:
        self.step_loss = step_loss
        self._parameters, self._buffers = parameters, buffers
        self._module = _Evaluation(step_loss, parameters, buffers)
        # A step need not use every parameter, and not every process the same ones.
        self._parallel = DistributedDataParallel(self._module, find_unused_parameters=True)
        self._carrier: tuple[Tensor, Tensor] | None = None
        #: Forwarded, for losses that count optimizer steps.
        self.begin_step = getattr(step_loss, "begin_step", None)

    def __call__(self, batch: Any, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the loss; its backward pass averages the gradients."""
        loss = self._parallel(batch, model)
        return loss, self._module.metrics

    def carrying(self, batch: Any, model: nn.Module) -> StepResult | None:
        """Evaluate the loss of a step that ends with `load`, its backward pass, and `unload`.

        Returns:
            The loss and the metrics; ``None`` if the loss raised `SkipBatch`. Even then a backward
            pass must follow, which the other processes wait for.
        """
        loss, carrier = self._parallel(batch, model, carries=True)
        self._carrier = carrier, loss
        return None if self._module.skipped else (loss, self._module.metrics)

    def load(self, loss: Tensor | None, cargo: Sequence[Count]) -> Tensor:
        """Return the loss, with numbers that its backward pass averages over all processes.

        Args:
            loss: The loss to differentiate; ``None`` if its gradients will not be used.
            cargo: `CARGO` finite numbers.
        """
        assert self._carrier is not None
        carrier, evaluated = self._carrier
        carried = torch.dot(carrier, carrier.new_tensor([float(number) for number in cargo]))
        shared = evaluated if loss is None else loss
        return shared + carried.to(shared.dtype)

    def unload(self) -> list[float]:
        """Return the means of the numbers over all processes, after the backward pass."""
        carrier = self._module.carrier
        means: list[float] = carrier.grad.tolist()  # type: ignore[union-attr]
        carrier.grad = self._carrier = None
        return means

    def alone(self, batch: Any, model: nn.Module) -> tuple[Tensor, Metrics]:
        """Evaluate the loss in this process; its backward pass exchanges nothing."""
        return self.step_loss(batch, model)

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
        self.carrier = nn.Parameter(_zeros_like(parameters[0]))
        # DistributedDataParallel warns if every parameter is used.
        self.unused = nn.Parameter(_zeros_like(parameters[0]))
        for number, parameter in enumerate(parameters):
            self.register_parameter(f"parameter_{number}", parameter)  # type: ignore[arg-type]
        for number, buffer in enumerate(buffers):
            self.register_buffer(f"buffer_{number}", buffer)
        self.metrics: Metrics = {}
        self.skipped = False

    def forward(self, batch: Any, model: nn.Module, carries: bool = False) -> Any:
        # Metrics are not returned, so DDP does not wait for gradients of parameters only they use.
        if not carries:
            loss, self.metrics = self._step_loss[0](batch, model)
            return loss
        # DDP finds the parameters of a result by its graph, and a parameter has none.
        carrier, self.skipped = self.carrier.view(-1), False
        try:
            loss, self.metrics = self._step_loss[0](batch, model)
        except SkipBatch:
            self.skipped = True
            # The other processes wait for a gradient of each parameter.
            loss = sum(((0 * parameter).sum() for parameter in self.parameters()), carrier.sum())
        return loss, carrier


def _zeros_like(parameter: Tensor) -> Tensor:
    """Return what carries numbers, if possible in a bucket with the parameters."""
    kept = parameter.dtype in (torch.float32, torch.float64)
    dtype = parameter.dtype if kept else torch.float32
    return torch.zeros(CARGO, dtype=dtype, device=parameter.device)
