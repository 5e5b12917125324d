"""Older spellings of options, which go on working. All of them are listed here."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

from perceptrain_core.errors import ConfigError
from perceptrain_core.option_checks import number_faults, refuse

_Class = TypeVar("_Class", bound=type)
_INITIAL = {"metric_weights": "initial", "weights": "initial"}

#: For each class, what its options used to be called and what they are called now.
OLD_SPELLINGS: dict[str, dict[str, str]] = {
    "Fixed": {"initial": "weights", "metric_weights": "weights"},
    "GradNorm": {"alpha": "asymmetry", **_INITIAL},
    "GradNormBalance": _INITIAL,
    "GradWeighted": {"alpha": "momentum", "fixed": "fixed_metric", **_INITIAL},
    "GradWeightedLoss": {"fixed": "fixed_metric", **_INITIAL},
    "ReLoBRaLo": {"alpha": "momentum"},
}


def share_of_old(alpha: float) -> float:
    """Return the share of the old value for that of the new one, or the other way round."""
    refuse("GradWeighted", number_faults({"alpha": alpha}, at_least=0, at_most=1))
    return round(1 - alpha, 12)  # so that 0.1 and 0.9 convert to each other exactly


#: Options whose value is converted too, by class and old spelling.
_CONVERSIONS: dict[tuple[str, str], Callable[[Any], Any]] = {
    ("GradWeighted", "alpha"): share_of_old,
}


def accepts_old_spellings(cls: _Class) -> _Class:
    """Let a class accept the spellings in `OLD_SPELLINGS` as keywords.

    The signature shows only the current names. The registry reads the attribute
    ``old_spellings``, so the old names work as options too.
    """
    old = OLD_SPELLINGS[cls.__name__]
    init = cls.__init__  # type: ignore[misc]

    @wraps(init)
    def __init__(self: Any, *args: Any, **options: Any) -> None:
        used = {name: options.pop(name) for name in old if name in options}
        for name, value in used.items():
            if old[name] in signature(init).bind_partial(self, *args, **options).arguments:
                raise ConfigError(
                    f"{cls.__name__} got {old[name]} twice, once by its older spelling {name}: "
                    f"pass {old[name]} only."
                )
            convert = _CONVERSIONS.get((cls.__name__, name))
            options[old[name]] = convert(value) if convert else value
        init(self, *args, **options)

    cls.__init__ = __init__  # type: ignore[misc]
    cls.old_spellings = old  # type: ignore[attr-defined]
    return cls
