"""Cases for ``pytest --perceptrain-plugin perceptrain-physics``."""

from __future__ import annotations

from typing import Any

import torch

from perceptrain import FFNN, PINN
from perceptrain_physics import laplacian

SIZES = {"pde": 12, "start": 5}
LAYERS = [2, 6, 1]

OPTIONS: dict[str, dict[str, Any]] = {
    "self_adaptive": {"sizes": SIZES},
    "residual_attention": {"start": 0.5},
    "mlp": {"layers": LAYERS},
    "modified_mlp": {"layers": LAYERS},
    "fourier_features": {"layers": LAYERS},
    "random_weight_factorization": {"layers": LAYERS},
    "periodic": {"nn": FFNN([3, 6, 1]), "periods": [1.0, None]},
    "hard_boundary": {"nn": FFNN(LAYERS), "distance": lambda x: x.prod(1, keepdim=True)},
    "unknown_coefficients": {"nn": FFNN(LAYERS), "coefficients": {"k": 2.0}},
    "problem": {"problem": "heat"},
}


def case(kind: str, name: str) -> dict[str, Any]:
    """Return the options of a name; for a loss also points and a PINN with two residuals."""
    found: dict[str, Any] = {"options": OPTIONS.get(name, {})}
    if kind == "loss":
        equations = {"pde": lambda x, u: laplacian(u(x), x) + 1, "start": lambda x, u: u(x) - 1}
        found["model"] = PINN(FFNN(LAYERS), equations)
        found["batch"] = {term: torch.rand(size, 2) for term, size in SIZES.items()}
    return found
