"""Quantum neural networks as models, simulated by pyqtorch.

Importing this module imports no torch: each name is fetched from its home when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perceptrain import Spec, hookimpl

if TYPE_CHECKING:
    from perceptrain_quantum.models.circuit import CircuitModel
    from perceptrain_quantum.models.qnn import FeatureMapQNN
    from perceptrain_quantum.observables import observable

#: Where each public name lives.
_HOME = {
    "CircuitModel": f"{__name__}.models.circuit",
    "FeatureMapQNN": f"{__name__}.models.qnn",
    "observable": f"{__name__}.observables",
}

__all__ = ["CircuitModel", "FeatureMapQNN", "observable"]


@hookimpl
def perceptrain_models() -> list[Spec]:
    """Offer the quantum neural network."""
    return [
        Spec(
            "qnn",
            "perceptrain_quantum.models.qnn:FeatureMapQNN",
            "Quantum neural network: a feature map, a hardware-efficient ansatz, observables.",
        )
    ]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
