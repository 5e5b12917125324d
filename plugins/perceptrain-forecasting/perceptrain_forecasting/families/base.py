"""A parametric distribution: its parameters, its scores, and SciPy's object for the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray
from torch import Tensor

from perceptrain_forecasting.families.constraints import Constraint

Array = NDArray[Any]


class Frozen(Protocol):
    """What is used of a frozen distribution of ``scipy.stats``."""

    def cdf(self, values: Array) -> Array:
        """Return the probability of at most these values."""

    def ppf(self, levels: Array) -> Array:
        """Return the quantiles of these levels."""

    def mean(self) -> Array:
        """Return the means."""

    def var(self) -> Array:
        """Return the variances."""


@dataclass(frozen=True)
class Family:
    """A family of distributions.

    Attributes:
        name: Its name in the options.
        parameters: Its parameters in the order of a model's outputs, and what they may be. The
            functions below take shares as logarithms.
        crps: ``crps(labels, *parameters)``, the CRPS of each label, differentiable in all.
        log_density: ``log_density(labels, *parameters)``, likewise.
        frozen: ``frozen(*parameters)`` as arrays returns a distribution of SciPy.
        positive: Whether labels must be above 0.
        located: Whether the first parameter is in the units of the labels, and a prediction.
        mixture: Whether each parameter has a value for each of several components.
    """

    name: str
    parameters: Mapping[str, Constraint]
    crps: Callable[..., Tensor]
    log_density: Callable[..., Tensor]
    frozen: Callable[..., Frozen]
    positive: bool = False
    located: bool = True
    mixture: bool = False
