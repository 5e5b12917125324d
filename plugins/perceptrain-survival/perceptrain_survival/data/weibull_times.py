"""Times that are drawn from a known hazard."""

from __future__ import annotations

import torch
from torch import Tensor

from perceptrain.errors import ConfigError


def weibull_times(
    rows: int = 1000, features: int = 4, shape: float = 1.5, censoring: float = 0.5
) -> tuple[Tensor, Tensor]:
    """Random times with a known hazard, some of them censored.

    The hazard at the time ``t`` is ``shape t^(shape - 1) exp(x[0] - x[1] / 2)``: that of a Weibull
    distribution, as in Cox's model. The other inputs have no effect. A row is censored at a random
    time of an exponential distribution with the rate ``censoring``.

    Args:
        rows: The number of rows.
        features: The number of inputs, at least 2.
        shape: The shape of the distribution: above 1, the hazard rises with time.
        censoring: The rate of the censoring; 0 for none. With 0.5, about a third of the rows.

    Returns:
        Inputs of shape ``(rows, features)``, normally distributed, and labels of shape
        ``(rows, 2)``, the columns event and time; float32.

    Raises:
        ConfigError: An option is out of range.
    """
    if rows < 1 or features < 2 or shape <= 0 or censoring < 0:
        raise ConfigError(
            f"rows={rows}, features={features}, shape={shape}, censoring={censoring}: expected "
            "rows of at least 1, features of at least 2, a shape above 0 and a censoring of at "
            "least 0."
        )
    inputs = torch.randn(rows, features)
    log_risk = inputs[:, 0] - inputs[:, 1] / 2
    times = (-torch.rand(rows).clamp(min=1e-7).log() * torch.exp(-log_risk)) ** (1 / shape)
    ends = torch.full((rows,), torch.inf)
    if censoring:
        ends = -torch.rand(rows).clamp(min=1e-7).log() / censoring
    return inputs, torch.stack([(times <= ends).float(), torch.minimum(times, ends)], 1)
