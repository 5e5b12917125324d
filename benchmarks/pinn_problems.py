"""Problems with known solutions, with the networks and points that are usual for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from perceptrain_physics import (
    AdaptiveSampler,
    Advection,
    AllenCahn,
    FreshPoints,
    Helmholtz,
    InverseBurgers,
    KortewegDeVries,
    Kovasznay,
    KuramotoSivashinsky,
    PeriodicBurgers,
    PeriodicProblem,
    Poisson,
    Problem,
    march,
)


@dataclass(frozen=True)
class Setup:
    """A problem as it is trained.

    Attributes:
        problem: The problem.
        hidden: Sizes of the hidden layers.
        points: Points of each condition, on each face of one with several.
        weights: Weights of the terms, by default 1.
        fixed: The points, if they never change.
        warm_up: Steps of Adam before a method that starts from its result, in each window.
        adaptive: Whether new points of the equation are drawn by its residual.
        weighting: A weighting, instead of the weights.
        windows: The windows of time in which a periodic problem is solved, one after the other.
    """

    problem: Problem
    hidden: tuple[int, ...] = (20, 20, 20)
    points: Mapping[str, int] = field(default_factory=lambda: {"pde": 2500})
    weights: Mapping[str, float] = field(default_factory=dict)
    fixed: Mapping[str, Tensor] | None = None
    warm_up: int = 1000
    adaptive: bool = False
    weighting: str | Mapping[str, Any] | None = None
    windows: int = 1

    def data(self, model: nn.Module, every: int, steps: int) -> Any:
        """Return the loader: new points every so many steps, or the fixed ones."""
        if self.fixed is not None:
            return [dict(self.fixed)] * steps
        samplers = dict(self.problem.samplers)
        if self.adaptive:
            samplers["pde"] = AdaptiveSampler(samplers["pde"], model, "pde")
        return FreshPoints(samplers, self.points, steps, every)

    def solve(self, train: Callable[[Problem], nn.Module]) -> nn.Module:
        """Return the model that ``train`` makes of the problem, or those of its windows as one."""
        if self.windows == 1:
            return train(self.problem)
        assert isinstance(self.problem, PeriodicProblem)
        return march(self.problem, self.windows, train)

    @property
    def loss(self) -> Any:
        """The loss: the sum of the mean squares of the terms, weighted if there are weights."""
        if not self.weights and self.weighting is None:
            return "mse"
        from perceptrain import WeightedLoss

        fixed = {"name": "fixed", "weights": dict(self.weights)}
        return WeightedLoss("mse", fixed if self.weighting is None else self.weighting)


def poisson() -> Setup:
    """Poisson's equation in two dimensions, 2-32-1, on an equidistant grid of 30 x 30 points."""
    problem = Poisson()
    fixed = {"pde": problem.box.inner_grid(30), "boundary": problem.box.edge_grid(30)}
    return Setup(problem, (32,), fixed=fixed)


def helmholtz(width: int) -> Setup:
    """Helmholtz' equation with 1 and 4 waves, 1,000 points inside and 200 on the boundary."""
    # The term is the sum over the four sides: 25 times it is 100 times their mean.
    points, weights = {"pde": 1000, "boundary": 50}, {"boundary": 25.0}
    return Setup(Helmholtz(), (width,) * 3, points, weights)


def inverse() -> Setup:
    """Burgers' equation with two unknown coefficients and 2,000 observations, 1% noise."""
    return Setup(InverseBurgers(), points={"pde": 2500, "data": 2000}, weights={"data": 10.0})


def in_windows(problem: PeriodicProblem, windows: int) -> Setup:
    """A problem that one network does not learn, with a small network for each window of time."""
    return Setup(problem, (20, 20), {"pde": 1000}, warm_up=500, windows=windows)


#: A function for each problem, because some compute points with the default dtype.
SETUPS: dict[str, Callable[[], Setup]] = {
    "poisson": poisson,
    "burgers": lambda: Setup(PeriodicBurgers(hard=True), warm_up=5000, adaptive=True),
    "helmholtz30": lambda: helmholtz(30),
    "helmholtz50": lambda: helmholtz(50),
    "allen_cahn": lambda: Setup(AllenCahn(hard=True), warm_up=5000),
    "kdv": lambda: Setup(KortewegDeVries(hard=True), warm_up=5000),
    "ks": lambda: in_windows(KuramotoSivashinsky(hard=True), 20),
    "advection": lambda: in_windows(Advection(hard=True), 10),
    "kovasznay": lambda: Setup(Kovasznay(hard=True), points={"pde": 1000}),
    "inverse": inverse,
}
