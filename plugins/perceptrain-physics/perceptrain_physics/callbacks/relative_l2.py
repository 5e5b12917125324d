"""A metric for the error against the exact solution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from perceptrain import Callback
from perceptrain_physics.checks import check_numbers
from perceptrain_physics.problems.base import Problem
from perceptrain_physics.problems.by_name import get_problem

if TYPE_CHECKING:
    from perceptrain import Tracker, TrainConfig
    from perceptrain.callbacks import TrainerContext


class RelativeL2(Callback):
    """Log the relative L2 error against the solution of a problem as the metric ``relative_l2``.

    In the epochs in which it runs, the metric is in the history, printed and logged. Callbacks
    created after it, and settings such as ``print_every``, see it. Other errors of the problem,
    such as those of the coefficients of an inverse problem, are logged by their names.

    Args:
        problem: A `Problem`, its name, or a mapping with the name and options.
        n: Grid points per axis.
        called_every: Interval in epochs.

    Attributes:
        problem: The problem.

    Raises:
        ConfigError: The problem is unknown, does not accept the options, or has no known solution;
            or ``n`` is not a whole number of at least 2.
    """

    def __init__(
        self, problem: Problem | str | Mapping[str, Any], n: int = 100, called_every: int = 1
    ) -> None:
        super().__init__("train_epoch_end", called_every)
        self.problem = get_problem(problem)
        advice = "It is the points per axis."
        check_numbers("RelativeL2", n=n, whole=True, at_least=2, advice=advice)
        if not self.problem.has_solution:
            self.problem.exact(self.problem.box.grid(2))  # raises an error that says what to do
        self.n = n

    def run_callback(self, trainer: TrainerContext, config: TrainConfig, writer: Tracker) -> None:
        """Add the errors to the metrics of the epoch."""
        trainer.opt_result.metrics.update(self.problem.errors(trainer.model, self.n))
