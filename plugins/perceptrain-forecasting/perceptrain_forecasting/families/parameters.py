"""Read the parameters of a distribution from the outputs of a model."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from perceptrain import values_are_checked
from perceptrain.errors import DataError, ShapeError
from perceptrain_forecasting.checks import precise
from perceptrain_forecasting.families.base import Family


def parameters_of(family: Family, outputs: Any, shape: torch.Size) -> tuple[Tensor, ...]:
    """Return the parameters of a distribution for each label.

    Args:
        family: The family, with P parameters.
        outputs: One tensor of any values, of shape ``(N, P D)``: the first parameter of all
            columns, then the second, and so on; of a mixture of K components ``(N, P D K)``, where
            the components of a column follow each other. Or a tuple of P tensors of the shape of
            the labels, for a mixture with a last dimension of K, which are the parameters.
        shape: The shape of the labels, ``(N,)`` or ``(N, D)``.

    Returns:
        The parameters, in float32 or better, of the shape of the labels, for a mixture with a last
        dimension of K. Shares are logarithms.

    Raises:
        ShapeError: The outputs have another shape.
        DataError: A parameter has a value that it cannot have.
    """
    if isinstance(outputs, tuple | list):
        return _given(family, tuple(outputs), shape)
    number = len(family.parameters)
    size = number * (shape[1] if len(shape) > 1 else 1)
    fits = isinstance(outputs, Tensor) and outputs.ndim == 2 and len(outputs) == shape[0]
    if fits:
        columns = outputs.shape[1]
        fits = columns > 0 and (columns % size == 0 if family.mixture else columns == size)
    if not fits:
        raise ShapeError(_misfit(family, outputs, shape, size))
    last = (outputs.shape[1] // size,) if family.mixture else ()
    parts = precise(outputs).reshape(shape[0], number, -1).unbind(1)
    raw = (part.reshape(*shape, *last) for part in parts)
    return tuple(c.apply(part) for c, part in zip(family.parameters.values(), raw, strict=True))


def _given(family: Family, outputs: tuple[Any, ...], shape: torch.Size) -> tuple[Tensor, ...]:
    shapes = [tuple(part.shape) if isinstance(part, Tensor) else None for part in outputs]
    first = shapes[0] if shapes else None
    last = first[-1:] if family.mixture and first else ()
    if shapes != [(*shape, *last)] * len(family.parameters):
        expected = (*shape, "K") if family.mixture else tuple(shape)
        raise ShapeError(
            f"The model returned a tuple of shapes {shapes}; the distribution {family.name} "
            f"expects ({', '.join(family.parameters)}), each of shape {expected}, as the labels "
            "have."
        )
    parameters = tuple(precise(part) for part in outputs)
    for (name, constraint), values in zip(family.parameters.items(), parameters, strict=True):
        if constraint.lower is None or not values_are_checked(values):
            continue
        if not bool((values > constraint.lower).all()):
            raise DataError(
                f"The parameter {name} of the distribution {family.name} goes down to "
                f"{values.detach().min().item():g}; expected numbers above {constraint.lower:g}. "
                f"{constraint.advice}"
            )
    given = zip(family.parameters.values(), parameters, strict=True)
    return tuple(constraint.given(values) for constraint, values in given)


def _misfit(family: Family, outputs: Any, shape: torch.Size, size: int) -> str:
    given = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else repr(outputs)[:80]
    each = f"{size} K outputs, for K components" if family.mixture else f"{size} outputs"
    return (
        f"The model's output has {given}, and the labels have shape {tuple(shape)}; the "
        f"distribution {family.name} expects {each} for each of {shape[0]} rows: "
        f"{', '.join(family.parameters)}. Change the size of the model's last layer."
    )
