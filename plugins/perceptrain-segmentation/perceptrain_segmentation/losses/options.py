"""The options of MONAI's criteria: what each one is, and which values are valid.

MONAI accepts many invalid values, and fails later or not at all.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from inspect import Parameter, Signature
from math import inf
from numbers import Integral, Real
from textwrap import fill
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from perceptrain import check_choice
from perceptrain.errors import ConfigError

#: Maps logits to probabilities.
Activation: TypeAlias = Callable[[Tensor], Tensor]
#: One number for all classes, or one for each.
Weight: TypeAlias = Tensor | Sequence[float] | float | None


class Option(NamedTuple):
    """An option: its type, as it is written in Python, and its text in the docstring."""

    type: str
    text: str


#: The options that several criteria share; a loss adds its own, or replaces one of these.
OPTIONS: Mapping[str, Option] = {
    "include_background": Option("bool", "Whether class 0, the background, counts."),
    "to_onehot_y": Option(
        "bool | None", "Whether labels are indices. Default: inferred from the shapes."
    ),
    "sigmoid": Option("bool | None", "Whether to apply a sigmoid. Default: with one channel."),
    "softmax": Option("bool | None", "Whether to apply softmax. Default: with several channels."),
    "other_act": Option("Activation | None", "A function to apply to the logits instead."),
    "squared_pred": Option("bool", "Whether the sizes in the denominator are sums of squares."),
    "jaccard": Option("bool", "Whether to use intersection over union instead."),
    "reduction": Option("str", '"mean" or "sum" over the images and classes.'),
    "smooth_nr": Option("float", "Added to the numerator."),
    "smooth_dr": Option("float", "Added to the denominator."),
    "batch": Option("bool", "Whether to sum sizes over the batch first, not image by image."),
    "weight": Option("Weight", "One weight for each class that counts, or one for all."),
    "soft_label": Option("bool", "Whether labels may be any number from 0 to 1."),
    "ignore_index": Option("int | None", "A label whose pixels do not count."),
    "w_type": Option("str", 'The weights: "square", "simple" (the inverse size) or "uniform".'),
    "gamma": Option("float", "The exponent of the focal loss; 0 is cross entropy."),
    "lambda_dice": Option("float", "The weight of the Dice loss."),
    "lambda_focal": Option("float", "The weight of the focal loss."),
    "iter_": Option("int", "Steps of the skeletonisation; at least the largest radius in pixels."),
    "smooth": Option("float", "Added to the denominator of the harmonic mean, above 0."),
    "dice_score": Option("bool", "Whether the metrics include the Dice score of the prediction."),
}


def signature_of(criterion: Callable[..., Any], options: Mapping[str, Option]) -> Signature:
    """Return the signature of a loss: the options of a MONAI class with their defaults.

    Options that are inferred where they are missing have the default None. ``dice_score`` is added.

    Args:
        criterion: The class of MONAI.
        options: What each option is.
    """
    theirs = inspect.signature(criterion).parameters.values()
    defaults = {p.name: None if p.name in _INFERRED else _plain(p.default) for p in theirs}
    return Signature(
        [
            Parameter(n, Parameter.KEYWORD_ONLY, default=default, annotation=options[n].type)
            for n, default in {**defaults, "dice_score": True}.items()
        ]
    )


def documented(doc: str, signature: Signature, options: Mapping[str, Option]) -> str:
    """Return a docstring with the sections on arguments and errors."""
    entries = [
        fill(f"{n}: {options[n].text}", 100, initial_indent=" " * 4, subsequent_indent=" " * 8)
        for n in signature.parameters
    ]
    raises = "Raises:\n    ConfigError: An option is invalid."
    return "\n".join([inspect.cleandoc(doc), "", "Args:", *entries, "", raises])


def _plain(default: Any) -> Any:
    return default.value if isinstance(default, Enum) else default


#: Inferred from the shapes where they are None.
_DECIDED = {"to_onehot_y", "softmax", "sigmoid", "use_softmax"}
_INFERRED = {*_DECIDED, "dist_matrix"}
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
        ConfigError: One is invalid.
    """
    if "reduction" in options:
        owner = "A loss must be one number"
        check_choice("reduction", options["reduction"], ("mean", "sum"), owner=owner)
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
    """List the numbers of an option, which may be None, a number, a sequence or a tensor."""
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
