"""Built-in models and their base class."""

from perceptrain_core.models import FFNN, PINN, QNN, EmbeddingFFNN, Model, QuantumModel

__all__ = ["FFNN", "PINN", "QNN", "EmbeddingFFNN", "Model", "QuantumModel"]
