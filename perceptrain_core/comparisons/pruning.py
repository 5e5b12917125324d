"""Stop runs that are worse than others after the same epoch, by a pruner of Optuna."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perceptrain_core.comparisons.jobs import Job
from perceptrain_core.comparisons.plan import Plan
from perceptrain_core.errors import ConfigError

if TYPE_CHECKING:
    import optuna

#: The pruners by name, with the classes of Optuna.
PRUNERS = {
    "median": "MedianPruner",
    "successive_halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}


@dataclass(frozen=True)
class Pruning:
    """How the runs of a search are pruned.

    Attributes:
        figure: The validation figure that a run reports after each epoch that has it.
        prunes: Called with a run, the epoch and the figure; returns whether to stop the run.
    """

    figure: str
    prunes: Callable[[Job, int, float], bool]


def make_pruner(name: str) -> optuna.pruners.BasePruner:
    """Return a pruner of Optuna, with its defaults."""
    import optuna

    pruner: optuna.pruners.BasePruner = getattr(optuna.pruners, PRUNERS[name])()
    return pruner


def check_prunable(plan: Plan) -> None:
    """Raise unless a trial is one run, which reports from its own process.

    Raises:
        ConfigError: A trial has several runs, or a run has several processes.
    """
    runs = len(plan.seeds) * len(plan.folds)
    if runs > 1:
        raise ConfigError(
            f"--prune needs one run for each trial, and this search has {runs}: leave out --seeds, "
            "and train one fold with --set data.fold=1."
        )
    for variant in plan.checked:
        for job in plan.jobs_of(variant):
            if job.asked["train"].get("nprocs", 1) != 1:
                raise ConfigError(
                    "--prune needs runs of one process: leave nprocs out of [train]; --jobs trains "
                    "several runs at a time."
                )
