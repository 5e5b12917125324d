"""Feature maps: inputs as angles of rotations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from perceptrain.errors import ConfigError, DataError

KINDS = ("fourier", "chebyshev")
SCALINGS = ("constant", "tower", "exponential")


@dataclass(frozen=True)
class FeatureMap:
    """Turns features into one angle for each qubit.

    Feature ``i`` goes to the qubits ``i``, ``i + d``, ``i + 2 d`` and so on, of ``d`` features; the
    ``k``-th of them rotates by a multiple of its angle: 1 ("constant"), ``k`` ("tower", arXiv
    2011.10395) or ``2^(k-1)`` ("exponential", arXiv 2008.08605).

    Args:
        n_qubits: The number of qubits.
        n_features: The number of features, d.
        kind: "fourier": the angle is the feature; "chebyshev": it is ``2 arccos`` of the feature,
            which must lie in (-1, 1) (arXiv 2011.10395).
        scaling: "constant", "tower" or "exponential".
        feature_range: The lowest and the highest value of the features, which are then mapped to
            (-1, 1), times pi / 2 for "fourier"; None to take them as they are.

    Raises:
        ConfigError: There are more features than qubits, or an option cannot be.
    """

    n_qubits: int
    n_features: int = 1
    kind: str = "fourier"
    scaling: str = "tower"
    feature_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"feature_map={self.kind!r}: expected {_choices(KINDS)}.")
        if self.scaling not in SCALINGS:
            raise ConfigError(f"reupload_scaling={self.scaling!r}: expected {_choices(SCALINGS)}.")
        if self.n_features > self.n_qubits:
            raise ConfigError(
                f"n_features={self.n_features} and n_qubits={self.n_qubits}: expected a qubit for "
                "each feature at least."
            )
        self._check_range()

    def angles(self, features: Tensor) -> Tensor:
        """Give the angles.

        Args:
            features: ``(N, n_features)``, float32 or float64.

        Returns:
            ``(N, n_qubits)``, in the same dtype.

        Raises:
            DataError: A feature is outside of the range, with "chebyshev".
        """
        scaled = self._in_range(features)
        if self.kind == "chebyshev":
            self._check_inside(scaled)
            scaled = 2 * torch.arccos(scaled)
        elif self.feature_range is not None:
            scaled = scaled * (math.pi / 2)
        qubits = torch.arange(self.n_qubits, device=features.device)
        return scaled[:, qubits % self.n_features] * self._multiples(qubits).to(features.dtype)

    def _multiples(self, qubits: Tensor) -> Tensor:
        turn = qubits // self.n_features
        if self.scaling == "constant":
            return torch.ones_like(turn)
        return turn + 1 if self.scaling == "tower" else 2**turn

    def _in_range(self, features: Tensor) -> Tensor:
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
        """Refuse what has no angle, and the ends, where the angle has no derivative."""
        largest = scaled.detach().abs().max() if scaled.numel() else scaled.new_zeros(())
        ends_allowed = not scaled.requires_grad
        if largest < 1 or (ends_allowed and largest == 1):
            return
        low, high = self.feature_range or (-1.0, 1.0)
        reason = (
            "a feature is at an end of the range, where arccos has no derivative"
            if largest == 1
            else "a feature is outside of the range, or NaN"
        )
        raise DataError(
            f'feature_map="chebyshev": {reason}. Expected values between {low:g} and {high:g}; '
            "give a wider feature_range=(lowest, highest)."
        )


def _choices(names: tuple[str, ...]) -> str:
    return f"{', '.join(map(repr, names[:-1]))} or {names[-1]!r}"
