"""Built-in models and their base class."""

from perceptrain_core.models import FFNN, PINN, QNN, Model, QuantumModel

__all__ = ["FFNN", "PINN", "QNN", "Model", "QuantumModel"]
