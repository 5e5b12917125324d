"""Physics-informed neural networks: derivatives, networks, weightings of points, known problems.

Importing this module imports no torch: each name is fetched from its home when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perceptrain import Spec, hookimpl

if TYPE_CHECKING:
    from perceptrain_physics.derivatives import div, grad, laplacian
    from perceptrain_physics.models.fourier_features import FourierFeatures
    from perceptrain_physics.models.hard_boundary import HardBoundary
    from perceptrain_physics.models.mlp import MLP
    from perceptrain_physics.models.modified_mlp import ModifiedMLP
    from perceptrain_physics.models.periodic import Periodic
    from perceptrain_physics.models.random_weight_factorization import RandomWeightFactorization
    from perceptrain_physics.models.standardize import Standardize
    from perceptrain_physics.named_derivatives import partials

#: Where each public name lives.
_HOMES = {
    "derivatives": ("div", "grad", "laplacian"),
    "models.fourier_features": ("FourierFeatures",),
    "models.hard_boundary": ("HardBoundary",),
    "models.mlp": ("MLP",),
    "models.modified_mlp": ("ModifiedMLP",),
    "models.periodic": ("Periodic",),
    "models.random_weight_factorization": ("RandomWeightFactorization",),
    "models.standardize": ("Standardize",),
    "named_derivatives": ("partials",),
}
_HOME = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "FourierFeatures",
    "HardBoundary",
    "MLP",
    "ModifiedMLP",
    "Periodic",
    "RandomWeightFactorization",
    "Standardize",
    "div",
    "grad",
    "laplacian",
    "partials",
]


@hookimpl
def perceptrain_models() -> list[Spec]:
    """Offer the networks."""
    home = "perceptrain_physics.models"
    return [
        Spec("mlp", f"{home}.mlp:MLP", "Dense layers, standardised inputs, Xavier-normal start."),
        Spec(
            "modified_mlp",
            f"{home}.modified_mlp:ModifiedMLP",
            "Hidden layers mixed with two encodings of the input (arXiv 2001.04536).",
        ),
        Spec(
            "fourier_features",
            f"{home}.fourier_features:FourierFeatures",
            "Random Fourier features, then dense layers (arXiv 2006.10739).",
        ),
        Spec(
            "random_weight_factorization",
            f"{home}.random_weight_factorization:RandomWeightFactorization",
            "Dense layers with a trainable scale for each neuron (arXiv 2210.01274).",
        ),
        Spec("periodic", f"{home}.periodic:Periodic", "A network periodic in chosen inputs."),
        Spec(
            "hard_boundary",
            f"{home}.hard_boundary:HardBoundary",
            "A network that meets its boundary values exactly, u = g + d * nn.",
        ),
    ]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
