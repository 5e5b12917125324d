"""Problems by their names, for run files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perceptrain import PINN
from perceptrain.errors import ConfigError
from perceptrain_physics.problems.base import Problem
from perceptrain_physics.problems.burgers import Burgers
from perceptrain_physics.problems.heat import Heat
from perceptrain_physics.problems.helmholtz import Helmholtz
from perceptrain_physics.problems.klein_gordon import KleinGordon
from perceptrain_physics.problems.oscillator import Oscillator
from perceptrain_physics.problems.poisson import Poisson
from perceptrain_physics.problems.wave import Wave

PROBLEMS: dict[str, type[Problem]] = {
    "burgers": Burgers,
    "heat": Heat,
    "helmholtz": Helmholtz,
    "klein_gordon": KleinGordon,
    "oscillator": Oscillator,
    "poisson": Poisson,
    "wave": Wave,
}


def get_problem(problem: Problem | str | Mapping[str, Any]) -> Problem:
    """Make a problem.

    Args:
        problem: Its name, a mapping with the name and options, ``{"name": "helmholtz", "b": 2}``,
            or a problem, which comes back as it is.

    Raises:
        ConfigError: There is none of this name, or it does not take the options.
    """
    if isinstance(problem, Problem):
        return problem
    options = dict(problem) if isinstance(problem, Mapping) else {"name": problem}
    name = options.pop("name", None)
    if not isinstance(name, str) or name not in PROBLEMS:
        raise ConfigError(f"There is no problem {name!r}; there are {', '.join(PROBLEMS)}.")
    try:
        return PROBLEMS[name](**options)
    except TypeError as error:
        raise ConfigError(f"The problem {name!r}: {error}.") from None


def problem_model(
    problem: Problem | str | Mapping[str, Any],
    network: str = "mlp",
    hidden: Sequence[int] = (50, 50, 50),
    **options: Any,
) -> PINN:
    """Make the PINN of a problem.

    Args:
        problem: As `get_problem` takes it.
        network: The name of one of this plugin's networks.
        hidden: The sizes of its hidden layers.
        **options: Its other options.

    Raises:
        ConfigError: There is no such problem.
    """
    return get_problem(problem).pinn(network, hidden=hidden, **options)
