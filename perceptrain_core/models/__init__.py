"""The built-in models, and how parameters are read and written as one vector."""

from perceptrain_core.models.base import Model
from perceptrain_core.models.embedding_ffnn import EmbeddingFFNN
from perceptrain_core.models.ffnn import FFNN
from perceptrain_core.models.model_summary import summary
from perceptrain_core.models.parameters import get_parameters, num_parameters, set_parameters
from perceptrain_core.models.pinn import PINN
from perceptrain_core.models.quantum import QNN, QuantumModel

__all__ = [
    "EmbeddingFFNN",
    "FFNN",
    "PINN",
    "QNN",
    "Model",
    "QuantumModel",
    "get_parameters",
    "num_parameters",
    "set_parameters",
    "summary",
]
