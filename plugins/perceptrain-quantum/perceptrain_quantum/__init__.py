"""Quantum neural networks as models, simulated by pyqtorch. Importing it imports no torch."""

from __future__ import annotations

from perceptrain import Spec, hookimpl, lazy_exports

with lazy_exports(__name__):
    from perceptrain_quantum.models.circuit import CircuitModel as CircuitModel
    from perceptrain_quantum.models.qnn import FeatureMapQNN as FeatureMapQNN
    from perceptrain_quantum.observables import observable as observable


@hookimpl
def perceptrain_models() -> list[Spec]:
    """Offer the quantum neural network."""
    return [
        Spec(
            "qnn",
            FeatureMapQNN,
            "Quantum neural network: a feature map, a hardware-efficient ansatz, observables.",
        )
    ]
