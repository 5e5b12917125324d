"""From a row as it comes to a prediction, as one module."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from perceptrain_core.losses.support.outputs import OutputActivation, activate
from perceptrain_core.models.pinn import PINN

#: Their predictions are float32: probabilities need more digits, and NumPy has no bfloat16.
_LOW = (torch.bfloat16, torch.float16)


class Pipeline(nn.Module):
    """Prepare rows, evaluate a model, and turn its outputs into predictions.

    Args:
        model: The model; of a PINN, the network is evaluated.
        prepare: Turns raw rows into inputs of the model; by default they are the inputs.
        activation: Turns outputs into probabilities or rates, see `output_activation`.
        restore: Turns outputs into the units of the labels; by default they have these.
        per_label: The outputs for each label, the first of which are predictions.
    """

    def __init__(
        self,
        model: nn.Module,
        prepare: nn.Module | None = None,
        activation: OutputActivation | None = None,
        restore: nn.Module | None = None,
        per_label: int = 1,
    ) -> None:
        super().__init__()
        self.model = model.nn if isinstance(model, PINN) else model
        self.prepare = prepare or nn.Identity()
        self.restore = restore or nn.Identity()
        self.activation = activation
        self.per_label = per_label
        self._dtype = _float_dtype(self.model)

    def forward(self, rows: Any) -> Any:
        """Predict rows of shape ``(N, ...)``.

        Returns:
            Probabilities, or values in the units of the labels, shape ``(N, ...)``, float32 if the
            model returned bfloat16 or float16; what it returned, if that is not a tensor.
        """
        inputs = self.prepare(rows)
        if isinstance(inputs, Tensor) and inputs.is_floating_point():
            inputs = inputs.to(self._dtype)
        outputs = self.model(inputs)
        if self.per_label > 1:
            outputs = self._predicted(outputs)
        if not isinstance(outputs, Tensor):
            return outputs
        if outputs.dtype in _LOW:
            outputs = outputs.float()
        return self.restore(activate(outputs, self.activation))

    def _predicted(self, outputs: Any) -> Any:
        """Return those of several outputs for each label that are predictions: the first."""
        if isinstance(outputs, tuple | list):
            return outputs[0]
        if isinstance(outputs, Tensor) and outputs.ndim > 1:
            return outputs[:, : outputs.shape[1] // self.per_label]
        return outputs


def _float_dtype(model: nn.Module) -> torch.dtype:
    dtypes = (p.dtype for p in model.parameters() if p.is_floating_point())
    return next(dtypes, torch.get_default_dtype())
