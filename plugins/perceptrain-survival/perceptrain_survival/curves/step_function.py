"""Functions of time that are constant between jumps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class StepFunction:
    """A function of time that jumps at some times, and is constant between them.

    Attributes:
        times: The times of the jumps, increasing, shape ``(K,)``, in the dtype of the labels.
        values: The values from each time on, shape ``(K,)``.
        start: The value before the first time.
    """

    times: Tensor
    values: Tensor
    start: float

    def __call__(self, times: Tensor) -> Tensor:
        """Return the values at times of any shape, in the dtype of ``values``.

        They are rounded as the labels are, so that 0.1 is the 0.1 of the labels.
        """
        number = torch.searchsorted(self.times, times.to(self.times).contiguous(), right=True)
        first = self.values.new_tensor([self.start])
        return torch.cat([first, self.values])[number]
