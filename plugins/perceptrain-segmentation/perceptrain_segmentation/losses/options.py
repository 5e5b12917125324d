"""Checks of options that several losses have; MONAI takes what cannot be, and fails later."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from numbers import Integral, Real
from typing import Any

import torch

from perceptrain.errors import ConfigError

#: Decided from the shapes, where they are None.
_DECIDED = {"to_onehot_y", "softmax", "sigmoid", "use_softmax"}
_FLAGS = {
    *_DECIDED,
    "batch",
    "dice_score",
    "include_background",
    "jaccard",
    "soft_label",
    "squared_pred",
}
_NUMBERS = {
    "alpha",
    "beta",
    "gamma",
    "lambda_ce",
    "lambda_dice",
    "lambda_focal",
    "lambda_gdl",
    "smooth",
    "smooth_dr",
    "smooth_nr",
}


def check_options(options: Mapping[str, Any], focal_alpha: bool = False) -> None:
    """Check options by their names.

    Args:
        options: Their values.
        focal_alpha: Whether ``alpha`` is the weight of classes in a focal loss.

    Raises:
        ConfigError: One cannot be.
    """
    for name, value in options.items():
        by_class = name == "alpha" and focal_alpha
        fits, expected = _fits_focal(value) if by_class else _fits(name, value)
        if not fits:
            raise ConfigError(f"{name}={value!r}; expected {expected}.")


def _fits(name: str, value: Any) -> tuple[bool, str]:
    if name in _FLAGS:
        unset = value is None and name in _DECIDED
        return unset or isinstance(value, bool), "True or False"
    if name == "weight":
        return all(map(_is_number, _each(value))), "numbers of 0 or more, one for each class"
    if name in _NUMBERS:
        return _is_number(value), "a number of 0 or more"
    if name == "label_smoothing":
        return _is_number(value) and value <= 1, "a number from 0 to 1"
    if name == "reduction":
        return value in ("mean", "sum"), '"mean" or "sum": a loss must be one number'
    if name == "ignore_index":
        whole = isinstance(value, Integral) and not isinstance(value, bool)
        return value is None or whole, "a whole number or None"
    if name == "other_act":
        return value is None or callable(value), "a function or None"
    return True, ""


def _fits_focal(alpha: Any) -> tuple[bool, str]:
    fits = all(_is_number(number) and number <= 1 for number in _each(alpha))
    return fits, "None, or a number from 0 to 1, or one for each class"


def _each(value: Any) -> list[Any]:
    """Give the numbers of an option: none, one, or those of a sequence, an array or a tensor."""
    if value is None:
        return []
    try:
        numbers: list[Any] = torch.as_tensor(value).flatten().tolist()
    except (TypeError, ValueError, RuntimeError):
        return [value]
    return numbers


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return 0 <= float(value) < inf
