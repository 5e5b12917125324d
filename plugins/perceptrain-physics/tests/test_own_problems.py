"""Problems that a user defines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from perceptrain import FFNN, TrainConfig, Trainer
from perceptrain.errors import ConfigError, ShapeError
from perceptrain_physics import (
    Box,
    Condition,
    PeriodicProblem,
    Problem,
    RelativeL2,
    TimeWindow,
    partials,
)

UNIT = Box(low=[0, 0], high=[1, 1])


class Source(Problem):
    """Poisson's equation with a source, without a known solution."""

    inputs = "xy"

    def __init__(self, box: Any = UNIT, hard: Any = False) -> None:
        super().__init__(box, hard)

    def conditions(self) -> Any:
        return {
            "pde": Condition(self.residual, self.box.inside),
            "boundary": Condition(lambda points, u: u(points), self.box.faces(), terms=4),
        }

    def residual(self, points: Tensor, network: Any) -> Tensor:
        u_xx, u_yy = partials(network, points, "xx", "yy", names=self.inputs)
        return u_xx + u_yy + torch.exp(points[:, :1])

    def distance(self, points: Tensor) -> Tensor:
        return (points * (1 - points)).prod(-1, keepdim=True)


@pytest.mark.parametrize("hard", [False, True])
def test_a_problem_without_a_known_solution_trains(hard: bool) -> None:
    problem = Source(hard=hard)
    model = problem.pinn(hidden=[8])
    config = TrainConfig(max_iter=3, verbose=False, val_every=1)
    trainer = Trainer(model, "adam", config)
    trainer.fit(problem.loader(16, steps=2), problem.loader(16, steps=1))
    assert trainer.history[-1]["val_loss"] > 0
    assert not problem.has_solution


@pytest.mark.parametrize(
    "use",
    [
        lambda problem: problem.exact(torch.rand(3, 2)),
        lambda problem: problem.relative_l2(problem.pinn(hidden=[4])),
        lambda problem: problem.errors(problem.pinn(hidden=[4])),
        RelativeL2,
    ],
)
def test_what_needs_a_solution_says_so(use: Callable[[Problem], Any]) -> None:
    with pytest.raises(ConfigError, match=r"Source has no known solution .* define exact\(self,"):
        use(Source())
    window = TimeWindow(Line(UNIT, 1), 0.0, 0.5)
    with pytest.raises(ConfigError, match="Line has no known solution"):
        RelativeL2(window)


def returning(conditions: Any) -> Problem:
    class Wrong(Source):
        def conditions(self) -> Any:
            return conditions

    return Wrong()


def residual(points: Tensor, network: Any) -> Tensor:
    out: Tensor = network(points)
    return out


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"pde": (residual, UNIT.inside)}, r"\['pde'\] is an object of type tuple; .* Condition\("),
        ([Condition(residual, UNIT.inside)], "an object of type list; expected a dict"),
        ({}, "nothing; expected a dict"),
        (None, "nothing; expected a dict"),
        ({"pde": Condition(residual, UNIT.inside, terms="4")}, "terms='4'; expected the number"),
        ({"pde": Condition(residual, UNIT.inside, terms=0)}, "terms=0; expected the number"),
        (
            {"pde": Condition(residual, torch.rand(3, 2))},
            "sample is a tensor of .* pass box.inside",
        ),
        ({"pde": Condition("pde", UNIT.inside)}, "residual is 'pde'; expected a function"),
    ],
)
def test_wrong_conditions_are_refused(conditions: Any, message: str) -> None:
    problem = returning(conditions)
    for use in (problem.pinn, problem.loader, lambda: problem.equations, lambda: problem.samplers):
        with pytest.raises(ConfigError, match=message):
            use()


class Letters(Source):
    inputs = "xyz"


class Number(Source):
    inputs = 2  # type: ignore[assignment]


class Late(Source):
    """Its letters are known only after the base class is done."""

    inputs = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.inputs = "x"


class Line(PeriodicProblem):
    def __init__(self, box: Box, order: Any) -> None:
        super().__init__(box, order)

    def start(self, x: Tensor) -> Tensor:
        return x.sin()

    def residual(self, points: Tensor, network: Any) -> Tensor:
        return residual(points, network)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Letters, "Letters: inputs='xyz', and the box has 2 coordinates; expected a letter"),
        (Number, "Number: inputs=2, and the box has 2 coordinates; expected a letter for each"),
        (lambda: Late().pinn(), "Late: inputs='x', and the box has 2 coordinates"),
        (lambda: Source([0, 1]), "Source: the box is an object of type list; expected a Box"),
        (lambda: Source(Box), "Source: the box is the class Box; expected a Box"),
        (lambda: Source(hard="no"), "Source: hard='no': expected True or False"),
        (lambda: Line(Box([0], [1]), 1), "Line: inputs='tx', and the box has 1 coordinate;"),
        (lambda: Line(UNIT, "1"), "Line: order='1': expected a whole number of at least 1"),
    ],
)
def test_what_does_not_fit_the_box_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_system_says_how_many_outputs_it_has() -> None:
    with pytest.raises(ShapeError, match="set outputs = 2 in the class"):
        Source().pinn(FFNN([2, 4, 2]))

    class System(Source):
        outputs = 2

    assert System().pinn(FFNN([2, 4, 2])).nn.output_size == 2


@pytest.mark.parametrize(
    "solution",
    [
        lambda points: points[:, 0],
        lambda points: points,
        lambda points: points[:, :1].numpy(),
    ],
)
def test_a_solution_of_another_shape_is_refused(solution: Callable[[Tensor], Any]) -> None:
    class Known(Source):
        def exact(self, points: Tensor) -> Any:
            return solution(points)

    problem = Known()
    with pytest.raises(ShapeError, match=r"Known.exact returned .* tensor of shape \(25, 1\)"):
        problem.relative_l2(problem.pinn(hidden=[4]), n=5)


def test_no_error_is_relative_to_zero() -> None:
    class Zero(Source):
        def exact(self, points: Tensor) -> Tensor:
            return 0 * points[:, :1]

    problem = Zero()
    with pytest.raises(ConfigError, match="Zero is 0 at all points of the grid, n=5"):
        problem.relative_l2(problem.pinn(hidden=[4]), n=5)
