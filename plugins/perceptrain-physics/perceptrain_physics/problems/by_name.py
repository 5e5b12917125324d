"""Problems by name, for run files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from perceptrain import PINN, check_choice
from perceptrain.errors import ConfigError
from perceptrain_physics.problems.advection import Advection
from perceptrain_physics.problems.allen_cahn import AllenCahn
from perceptrain_physics.problems.base import Problem
from perceptrain_physics.problems.burgers import Burgers
from perceptrain_physics.problems.heat import Heat
from perceptrain_physics.problems.helmholtz import Helmholtz
from perceptrain_physics.problems.inverse_burgers import InverseBurgers
from perceptrain_physics.problems.klein_gordon import KleinGordon
from perceptrain_physics.problems.korteweg_de_vries import KortewegDeVries
from perceptrain_physics.problems.kovasznay import Kovasznay
from perceptrain_physics.problems.kuramoto_sivashinsky import KuramotoSivashinsky
from perceptrain_physics.problems.lid_driven_cavity import LidDrivenCavity
from perceptrain_physics.problems.options import with_options
from perceptrain_physics.problems.oscillator import Oscillator
from perceptrain_physics.problems.periodic_burgers import PeriodicBurgers
from perceptrain_physics.problems.poisson import Poisson
from perceptrain_physics.problems.van_der_pol import VanDerPol
from perceptrain_physics.problems.wave import Wave

PROBLEMS: dict[str, type[Problem]] = {
    "advection": Advection,
    "allen_cahn": AllenCahn,
    "burgers": Burgers,
    "heat": Heat,
    "helmholtz": Helmholtz,
    "inverse_burgers": InverseBurgers,
    "klein_gordon": KleinGordon,
    "korteweg_de_vries": KortewegDeVries,
    "kovasznay": Kovasznay,
    "kuramoto_sivashinsky": KuramotoSivashinsky,
    "lid_driven_cavity": LidDrivenCavity,
    "oscillator": Oscillator,
    "periodic_burgers": PeriodicBurgers,
    "poisson": Poisson,
    "van_der_pol": VanDerPol,
    "wave": Wave,
}


def get_problem(problem: Problem | str | Mapping[str, Any], **options: Any) -> Problem:
    """Create a problem by name. ::

        problem = get_problem("helmholtz", b=2)

    Args:
        problem: A name, or a mapping with the name and options, ``{"name": "helmholtz", "b": 2}``.
            A `Problem` is returned unchanged.
        **options: Options of the problem; they override those of a mapping.

    Raises:
        ConfigError: The name is unknown, the problem does not accept the options, or there are
            options for a `Problem` that exists already.
    """
    if isinstance(problem, Problem):
        if options:
            raise ConfigError(
                f"{', '.join(options)}: expected no options, because the problem, "
                f"{type(problem).__name__}, exists already. Set them where it is created."
            )
        return problem
    if isinstance(problem, type) and issubclass(problem, Problem):
        return with_options(problem, problem.__name__, options)
    given = dict(problem) if isinstance(problem, Mapping) else {"name": problem}
    name = given.pop("name", None)
    check_choice("problem", name, list(PROBLEMS))
    return with_options(PROBLEMS[str(name)], str(name), given | options)


def problem_model(
    problem: Problem | str | Mapping[str, Any],
    network: str = "mlp",
    hidden: Sequence[int] = (50, 50, 50),
    **options: Any,
) -> PINN:
    """Build the PINN of a problem.

    Args:
        problem: A problem, its name, or a mapping with the name and options; see `get_problem`.
        network: The name of one of this plugin's networks.
        hidden: Sizes of its hidden layers.
        **options: Its other options.

    Raises:
        ConfigError: The problem is unknown, or does not accept the options.
    """
    return get_problem(problem).pinn(network, hidden=hidden, **options)
