"""Physics-informed neural networks: derivatives, networks, weightings of points, known problems.

Importing this module imports no torch: each name is fetched from its home when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from perceptrain import Spec, hookimpl

if TYPE_CHECKING:
    from perceptrain_physics.box import Box
    from perceptrain_physics.callbacks.relative_l2 import RelativeL2
    from perceptrain_physics.callbacks.residual_refinement import ResidualRefinement
    from perceptrain_physics.derivatives import div, grad, laplacian
    from perceptrain_physics.fresh_points import FreshPoints
    from perceptrain_physics.losses.causal import CausalLoss
    from perceptrain_physics.losses.point_weighted import PointWeightedLoss
    from perceptrain_physics.losses.residual_attention import ResidualAttentionLoss
    from perceptrain_physics.losses.self_adaptive import SelfAdaptiveLoss
    from perceptrain_physics.models.fourier_features import FourierFeatures
    from perceptrain_physics.models.hard_boundary import HardBoundary
    from perceptrain_physics.models.mlp import MLP
    from perceptrain_physics.models.modified_mlp import ModifiedMLP
    from perceptrain_physics.models.periodic import Periodic
    from perceptrain_physics.models.random_weight_factorization import RandomWeightFactorization
    from perceptrain_physics.models.standardize import Standardize
    from perceptrain_physics.named_derivatives import partials
    from perceptrain_physics.problems.base import Condition, Problem
    from perceptrain_physics.problems.burgers import Burgers
    from perceptrain_physics.problems.by_name import get_problem
    from perceptrain_physics.problems.heat import Heat
    from perceptrain_physics.problems.helmholtz import Helmholtz
    from perceptrain_physics.problems.klein_gordon import KleinGordon
    from perceptrain_physics.problems.oscillator import Oscillator
    from perceptrain_physics.problems.poisson import Poisson
    from perceptrain_physics.problems.wave import Wave
    from perceptrain_physics.refined_points import RefinedPoints

#: Where each public name lives.
_HOMES = {
    "box": ("Box",),
    "callbacks.relative_l2": ("RelativeL2",),
    "callbacks.residual_refinement": ("ResidualRefinement",),
    "derivatives": ("div", "grad", "laplacian"),
    "fresh_points": ("FreshPoints",),
    "losses.causal": ("CausalLoss",),
    "losses.point_weighted": ("PointWeightedLoss",),
    "losses.residual_attention": ("ResidualAttentionLoss",),
    "losses.self_adaptive": ("SelfAdaptiveLoss",),
    "models.fourier_features": ("FourierFeatures",),
    "models.hard_boundary": ("HardBoundary",),
    "models.mlp": ("MLP",),
    "models.modified_mlp": ("ModifiedMLP",),
    "models.periodic": ("Periodic",),
    "models.random_weight_factorization": ("RandomWeightFactorization",),
    "models.standardize": ("Standardize",),
    "named_derivatives": ("partials",),
    "problems.base": ("Condition", "Problem"),
    "problems.burgers": ("Burgers",),
    "problems.by_name": ("get_problem",),
    "problems.heat": ("Heat",),
    "problems.helmholtz": ("Helmholtz",),
    "problems.klein_gordon": ("KleinGordon",),
    "problems.oscillator": ("Oscillator",),
    "problems.poisson": ("Poisson",),
    "problems.wave": ("Wave",),
    "refined_points": ("RefinedPoints",),
}
_HOME = {name: f"{__name__}.{home}" for home, names in _HOMES.items() for name in names}

__all__ = [
    "Box",
    "Burgers",
    "CausalLoss",
    "Condition",
    "FourierFeatures",
    "FreshPoints",
    "HardBoundary",
    "Heat",
    "Helmholtz",
    "KleinGordon",
    "MLP",
    "ModifiedMLP",
    "Oscillator",
    "Periodic",
    "PointWeightedLoss",
    "Poisson",
    "Problem",
    "RandomWeightFactorization",
    "RefinedPoints",
    "RelativeL2",
    "ResidualAttentionLoss",
    "ResidualRefinement",
    "SelfAdaptiveLoss",
    "Standardize",
    "Wave",
    "div",
    "get_problem",
    "grad",
    "laplacian",
    "partials",
]


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the losses that weigh points."""
    home = "perceptrain_physics.losses"
    return [
        Spec(
            "causal",
            f"{home}.causal:CausalLoss",
            "Points weighed by the residual at earlier times (arXiv 2203.07404). Batch: points.",
        ),
        Spec(
            "residual_attention",
            f"{home}.residual_attention:ResidualAttentionLoss",
            "Points weighed by their past residuals (arXiv 2307.00379). Batch: the same points.",
        ),
        Spec(
            "self_adaptive",
            f"{home}.self_adaptive:SelfAdaptiveLoss",
            "Points weighed by trained weights (arXiv 2009.04544). Batch: the same points.",
        ),
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
        Spec(
            "problem",
            "perceptrain_physics.problems.by_name:problem_model",
            "The PINN of a problem with a known solution, by the problem's name.",
        ),
    ]


@hookimpl
def perceptrain_datasets() -> list[Spec]:
    """Offer fresh points for the conditions of each problem."""
    return [
        _points("burgers", "Burgers", "Burgers' equation, whose solution steepens"),
        _points("heat", "Heat", "the heat equation on a rod"),
        _points("helmholtz", "Helmholtz", "the Helmholtz equation of arXiv 2001.04536"),
        _points("klein_gordon", "KleinGordon", "the Klein-Gordon equation of arXiv 2001.04536"),
        _points("oscillator", "Oscillator", "a damped oscillator"),
        _points("poisson", "Poisson", "Poisson's equation in any dimension"),
        _points("wave", "Wave", "the wave equation with two modes"),
    ]


def _points(name: str, problem: str, what: str) -> Spec:
    home = f"perceptrain_physics.problems.{name}:{problem}.dataset"
    return Spec(name, home, f"Fresh points at each step: {what}.")


@hookimpl
def perceptrain_callbacks() -> list[Spec]:
    """Offer the error of the solution, and points that gather where the residual is."""
    return [
        Spec(
            "relative_l2",
            "perceptrain_physics.callbacks.relative_l2:RelativeL2",
            "Error of the solution of a problem, as the metric relative_l2.",
        ),
        Spec(
            "residual_refinement",
            "perceptrain_physics.callbacks.residual_refinement:ResidualRefinement",
            "Points gather where the residual is large: RAR, RAD (arXiv 2207.10289), RAR-D.",
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
