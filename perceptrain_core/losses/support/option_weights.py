"""Weights that are options of a loss: of classes, or of elements."""

from __future__ import annotations

from torch import Tensor

from perceptrain_core.errors import ConfigError
from perceptrain_core.losses.support.domains import check_weights
from perceptrain_core.losses.support.options import Weight, weight_like
from perceptrain_core.plurals import counted


def class_weight(weight: Weight, outputs: Tensor) -> Tensor | None:
    """Return a weight for each class with the device and dtype of the outputs.

    Args:
        weight: The option.
        outputs: Scores of shape ``(N, C, ...)`` or ``(C,)``.

    Raises:
        ConfigError: There is not one number for each class, or one is negative or NaN.
    """
    found = weight_like(weight, outputs)
    if found is None:
        return None
    classes = outputs.shape[min(1, outputs.ndim - 1)]
    if found.shape != (classes,):
        number = counted(classes, "class", "classes")
        raise ConfigError(
            f"{_described('weight', found)}, and the model's output has {number}: pass a weight "
            "for each class, in the order of their indices."
        )
    check_weights(weight=found)
    return found


def element_weights(outputs: Tensor, **weights: Weight) -> list[Tensor | None]:
    """Return weights of elements with the device and dtype of the outputs.

    Args:
        outputs: Shape ``(N, ...)``.
        **weights: The options; each has a shape that broadcasts to that of the outputs.

    Raises:
        ConfigError: A shape is another one, or a weight is negative or NaN.
    """
    found = {name: weight_like(weight, outputs) for name, weight in weights.items()}
    for name, weight in found.items():
        if weight is not None and not _fits(weight, outputs):
            raise ConfigError(
                f"{_described(name, weight)}, and the model's output has shape "
                f"{tuple(outputs.shape)}: pass one number, or one for each of the last dimension."
            )
    check_weights(**found)
    return list(found.values())


def _fits(weight: Tensor, outputs: Tensor) -> bool:
    """Whether a weight broadcasts to the outputs, which keep their shape."""
    pairs = zip(reversed(weight.shape), reversed(outputs.shape), strict=False)
    return weight.ndim <= outputs.ndim and all(ours in (1, size) for ours, size in pairs)


def _described(name: str, weight: Tensor) -> str:
    if weight.ndim == 1:
        return f"{name} has {counted(len(weight), 'number')}"
    return f"{name} has shape {tuple(weight.shape)}"
