"""Physics-informed neural networks: derivatives, networks, weightings of points, known problems.

Importing this package imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perceptrain import Spec, hookimpl, lazy_exports

with lazy_exports(__name__):
    from perceptrain_physics.adaptive_sampler import AdaptiveSampler as AdaptiveSampler
    from perceptrain_physics.box import Box as Box
    from perceptrain_physics.callbacks.relative_l2 import RelativeL2 as RelativeL2
    from perceptrain_physics.callbacks.residual_refinement import (
        ResidualRefinement as ResidualRefinement,
    )
    from perceptrain_physics.derivatives import div as div
    from perceptrain_physics.derivatives import grad as grad
    from perceptrain_physics.derivatives import laplacian as laplacian
    from perceptrain_physics.fresh_points import FreshPoints as FreshPoints
    from perceptrain_physics.losses.causal import CausalLoss as CausalLoss
    from perceptrain_physics.losses.point_weighted import PointWeightedLoss as PointWeightedLoss
    from perceptrain_physics.losses.residual_attention import (
        ResidualAttentionLoss as ResidualAttentionLoss,
    )
    from perceptrain_physics.losses.self_adaptive import SelfAdaptiveLoss as SelfAdaptiveLoss
    from perceptrain_physics.models.fourier_features import FourierFeatures as FourierFeatures
    from perceptrain_physics.models.hard_boundary import HardBoundary as HardBoundary
    from perceptrain_physics.models.mlp import MLP as MLP
    from perceptrain_physics.models.modified_mlp import ModifiedMLP as ModifiedMLP
    from perceptrain_physics.models.periodic import Periodic as Periodic
    from perceptrain_physics.models.random_weight_factorization import (
        RandomWeightFactorization as RandomWeightFactorization,
    )
    from perceptrain_physics.models.standardize import Standardize as Standardize
    from perceptrain_physics.models.unknown_coefficients import (
        UnknownCoefficients as UnknownCoefficients,
    )
    from perceptrain_physics.named_derivatives import partials as partials
    from perceptrain_physics.problems.advection import Advection as Advection
    from perceptrain_physics.problems.allen_cahn import AllenCahn as AllenCahn
    from perceptrain_physics.problems.base import Problem as Problem
    from perceptrain_physics.problems.burgers import Burgers as Burgers
    from perceptrain_physics.problems.by_name import get_problem as get_problem
    from perceptrain_physics.problems.by_name import problem_model as problem_model
    from perceptrain_physics.problems.condition import Condition as Condition
    from perceptrain_physics.problems.heat import Heat as Heat
    from perceptrain_physics.problems.helmholtz import Helmholtz as Helmholtz
    from perceptrain_physics.problems.inverse_burgers import InverseBurgers as InverseBurgers
    from perceptrain_physics.problems.klein_gordon import KleinGordon as KleinGordon
    from perceptrain_physics.problems.korteweg_de_vries import KortewegDeVries as KortewegDeVries
    from perceptrain_physics.problems.kovasznay import Kovasznay as Kovasznay
    from perceptrain_physics.problems.kuramoto_sivashinsky import (
        KuramotoSivashinsky as KuramotoSivashinsky,
    )
    from perceptrain_physics.problems.lid_driven_cavity import LidDrivenCavity as LidDrivenCavity
    from perceptrain_physics.problems.oscillator import Oscillator as Oscillator
    from perceptrain_physics.problems.periodic_burgers import PeriodicBurgers as PeriodicBurgers
    from perceptrain_physics.problems.periodic_problem import PeriodicProblem as PeriodicProblem
    from perceptrain_physics.problems.poisson import Poisson as Poisson
    from perceptrain_physics.problems.van_der_pol import VanDerPol as VanDerPol
    from perceptrain_physics.problems.wave import Wave as Wave
    from perceptrain_physics.refined_points import RefinedPoints as RefinedPoints
    from perceptrain_physics.time_windows import TimeWindow as TimeWindow
    from perceptrain_physics.time_windows import TimeWindows as TimeWindows
    from perceptrain_physics.time_windows import march as march


@hookimpl
def perceptrain_losses() -> list[Spec]:
    """Offer the losses that weigh points."""
    return [
        Spec(
            "causal",
            CausalLoss,
            "Weights points by the residual at earlier times (arXiv 2203.07404). Batch: points.",
        ),
        Spec(
            "residual_attention",
            ResidualAttentionLoss,
            "Weights points by their past residuals (arXiv 2307.00379). Batch: the same points.",
        ),
        Spec(
            "self_adaptive",
            SelfAdaptiveLoss,
            "Weights points by trained weights (arXiv 2009.04544). Batch: the same points.",
        ),
    ]


@hookimpl
def perceptrain_models() -> list[Spec]:
    """Offer the networks."""
    return [
        Spec("mlp", MLP, "Dense layers, standardized inputs, Xavier-normal initialization."),
        Spec(
            "modified_mlp",
            ModifiedMLP,
            "Hidden layers mixed with two encodings of the input (arXiv 2001.04536).",
        ),
        Spec(
            "fourier_features",
            FourierFeatures,
            "Random Fourier features, followed by dense layers (arXiv 2006.10739).",
        ),
        Spec(
            "random_weight_factorization",
            RandomWeightFactorization,
            "Dense layers with a trainable scale per neuron (arXiv 2210.01274).",
        ),
        Spec("periodic", Periodic, "Network that is exactly periodic in selected inputs."),
        Spec(
            "hard_boundary",
            HardBoundary,
            "Network with exact boundary values, u = g + d * nn.",
        ),
        Spec(
            "unknown_coefficients",
            UnknownCoefficients,
            "Network with trained coefficients of an equation as further outputs.",
        ),
        Spec(
            "problem",
            problem_model,
            "PINN of a benchmark problem, by the problem's name.",
        ),
    ]


@hookimpl
def perceptrain_datasets() -> list[Spec]:
    """Offer fresh points for the conditions of each problem."""
    return [
        _points("advection", Advection.dataset, "advection at a high speed"),
        _points("allen_cahn", AllenCahn.dataset, "the Allen-Cahn equation with sharp fronts"),
        _points("burgers", Burgers.dataset, "Burgers' equation with a steepening solution"),
        _points("heat", Heat.dataset, "the heat equation on a rod"),
        _points("helmholtz", Helmholtz.dataset, "the Helmholtz equation of arXiv 2001.04536"),
        _points(
            "inverse_burgers", InverseBurgers.dataset, "Burgers' equation, unknown coefficients"
        ),
        _points(
            "klein_gordon", KleinGordon.dataset, "the Klein-Gordon equation of arXiv 2001.04536"
        ),
        _points("korteweg_de_vries", KortewegDeVries.dataset, "the Korteweg-de Vries equation"),
        _points("kovasznay", Kovasznay.dataset, "a steady flow, with velocity and pressure"),
        _points(
            "kuramoto_sivashinsky",
            KuramotoSivashinsky.dataset,
            "the Kuramoto-Sivashinsky equation of arXiv 2203.07404",
        ),
        _points("lid_driven_cavity", LidDrivenCavity.dataset, "a steady flow in a cavity"),
        _points("oscillator", Oscillator.dataset, "a damped oscillator"),
        _points(
            "periodic_burgers", PeriodicBurgers.dataset, "Burgers' equation, periodic in space"
        ),
        _points("poisson", Poisson.dataset, "Poisson's equation in any dimension"),
        _points("van_der_pol", VanDerPol.dataset, "Van der Pol's stiff oscillator"),
        _points("wave", Wave.dataset, "the wave equation with two modes"),
    ]


def _points(name: str, dataset: Callable[..., Any], what: str) -> Spec:
    return Spec(name, dataset, f"Fresh points at each step: {what}.")


@hookimpl
def perceptrain_callbacks() -> list[Spec]:
    """Offer the error of the solution, and points that gather where the residual is."""
    return [
        Spec(
            "relative_l2",
            RelativeL2,
            "Relative L2 error against the solution of a problem, as the metric relative_l2.",
        ),
        Spec(
            "residual_refinement",
            ResidualRefinement,
            "Resamples points where the residual is large: RAR, RAD (arXiv 2207.10289), RAR-D.",
        ),
    ]
