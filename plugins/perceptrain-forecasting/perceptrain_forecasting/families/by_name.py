"""The distributions by name, and the outputs that a model needs for each."""

from __future__ import annotations

from perceptrain import check_choice
from perceptrain_forecasting.families.base import Family
from perceptrain_forecasting.families.gamma import GAMMA
from perceptrain_forecasting.families.laplace import LAPLACE
from perceptrain_forecasting.families.logistic import LOGISTIC
from perceptrain_forecasting.families.lognormal import LOGNORMAL
from perceptrain_forecasting.families.normal import NORMAL
from perceptrain_forecasting.families.normal_mixture import NORMAL_MIXTURE
from perceptrain_forecasting.families.student_t import STUDENT_T

FAMILIES = {
    family.name: family
    for family in (NORMAL, LAPLACE, LOGISTIC, STUDENT_T, LOGNORMAL, GAMMA, NORMAL_MIXTURE)
}


def family_of(name: str) -> Family:
    """Return the family of a name.

    Raises:
        ConfigError: There is no such family.
    """
    check_choice("distribution", name, tuple(FAMILIES))
    return FAMILIES[name]


def outputs_for(name: str, components: int) -> int:
    """Return how many outputs a model needs for each label."""
    family = family_of(name)
    return len(family.parameters) * (components if family.mixture else 1)
