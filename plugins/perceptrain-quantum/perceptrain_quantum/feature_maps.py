"""Feature maps, which encode inputs as rotation angles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from perceptrain import check_choice
from perceptrain.errors import ConfigError, DataError

KINDS = ("fourier", "chebyshev")
SCALINGS = ("constant", "tower", "exponential")


@dataclass(frozen=True)
class FeatureMap:
    """Map features to one angle per qubit.

    With ``d`` features, feature ``i`` is encoded on the qubits ``i``, ``i + d``, ``i + 2 d`` and so
    on. The ``k``-th of these qubits multiplies the angle by 1 ("constant"), ``k`` ("tower", arXiv
    2011.10395) or ``2^(k-1)`` ("exponential", arXiv 2008.08605).

    Args:
        n_qubits: The number of qubits.
        n_features: The number of features, d.
        kind: "fourier": the angle is the feature. "chebyshev": the angle is ``2 arccos`` of the
            feature, which must lie in (-1, 1) (arXiv 2011.10395).
        scaling: "constant", "tower" or "exponential".
        feature_range: Lowest and highest value of the features, for mapping them to (-1, 1), or to
            (-pi / 2, pi / 2) with "fourier". None leaves the features unscaled.

    Raises:
        ConfigError: There are more features than qubits, or an option is invalid.
    """

    n_qubits: int
    n_features: int = 1
    kind: str = "fourier"
    scaling: str = "tower"
    feature_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_choice("feature_map", self.kind, KINDS)
        check_choice("reupload_scaling", self.scaling, SCALINGS)
        if self.n_features > self.n_qubits:
            raise ConfigError(
                f"n_features={self.n_features} and n_qubits={self.n_qubits}: expected at least one "
                "qubit per feature."
            )
        self._check_range()

    def angles(self, features: Tensor) -> Tensor:
        """Return the rotation angles.

        Args:
            features: ``(N, n_features)``, float32 or float64.

        Returns:
            ``(N, n_qubits)``, in the same dtype.

        Raises:
            DataError: A feature is out of range, with "chebyshev".
        """
        scaled = self._rescaled(features)
        if self.kind == "chebyshev":
            self._check_inside(scaled)
            scaled = 2 * torch.arccos(scaled)
        elif self.feature_range is not None:
            scaled = scaled * (math.pi / 2)
        qubits = torch.arange(self.n_qubits, device=features.device)
        return scaled[:, qubits % self.n_features] * self._multiples(qubits).to(features.dtype)

    def _multiples(self, qubits: Tensor) -> Tensor:
        repeat = qubits // self.n_features
        if self.scaling == "constant":
            return torch.ones_like(repeat)
        return repeat + 1 if self.scaling == "tower" else 2**repeat

    def _rescaled(self, features: Tensor) -> Tensor:
        if self.feature_range is None:
            return features
        low, high = self.feature_range
        return (2 * features - (low + high)) / (high - low)

    def _check_range(self) -> None:
        if self.feature_range is None:
            return
        try:
            low, high = map(float, self.feature_range)
        except (TypeError, ValueError):
            low = high = math.nan
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ConfigError(
                f"feature_range={self.feature_range!r}: expected two numbers, (lowest, highest)."
            )

    def _check_inside(self, scaled: Tensor) -> None:
        """Check that arccos is defined, and differentiable if a derivative is needed."""
        largest = scaled.detach().abs().max() if scaled.numel() else scaled.new_zeros(())
        ends_allowed = not scaled.requires_grad
        if largest < 1 or (ends_allowed and largest == 1):
            return
        low, high = self.feature_range or (-1.0, 1.0)
        reason = (
            "a feature is at an end of the range, where arccos has no derivative"
            if largest == 1
            else "a feature is out of range, or NaN"
        )
        raise DataError(
            f'feature_map="chebyshev": {reason}. Expected values between {low:g} and {high:g}; '
            "set a wider feature_range=(lowest, highest)."
        )
