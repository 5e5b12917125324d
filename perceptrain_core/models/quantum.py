"""Base classes for quantum circuits as models, from any quantum library."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from perceptrain_core.models.base import Model


class QuantumModel(Model):
    """A circuit with trainable parameters: the base of models from any quantum library.

    A subclass registers its parameters as ``nn.Parameter``, usually float64, and implements
    ``expectation``, ``forward``, or both. The library does not require this base.
    """

    def expectation(self, inputs: Any) -> Tensor:
        """Return the expectation values of the observables.

        Args:
            inputs: The features, such as a tensor of shape ``(N, d)``.

        Returns:
            Real values of shape ``(N, number of observables)``, differentiable with respect to
            the parameters.

        Raises:
            NotImplementedError: The subclass does not implement it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no expectation: implement expectation(self, inputs) "
            "-> Tensor of real values of shape (N, number of observables), or override forward."
        )


class QNN(QuantumModel):
    """A quantum neural network, whose outputs are expectation values.

    A subclass implements ``expectation``, or overrides ``forward``.
    """

    def forward(self, inputs: Any) -> Tensor:
        """Return the expectation values, of shape ``(N, number of observables)``."""
        return self.expectation(inputs)
