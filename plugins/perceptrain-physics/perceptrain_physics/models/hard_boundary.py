"""A network with exact boundary values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from perceptrain import get_model
from perceptrain.errors import ConfigError, ShapeError
from perceptrain.models import Model
from perceptrain_physics.box import checked_ends

#: A function from points of shape ``(N, d)`` to values of shape ``(N, 1)``.
Field: TypeAlias = Callable[[Tensor], Tensor]


class HardBoundary(Model):
    """Compute ``u(x) = g(x) + d(x) * nn(x)``, so that ``u = g`` wherever ``d = 0``.

    Lagaris, Likas, Fotiadis, "Artificial neural networks for solving ordinary and partial
    differential equations", IEEE Trans. Neural Netw. 9(5), 1998. No boundary loss is needed. ::

        network = HardBoundary(
            FFNN([2, 50, 50, 1]),
            distance=lambda x: (1 - x[:, :1] ** 2) * (1 - x[:, 1:] ** 2),
        )

    Args:
        nn: The network, or a registered model as a mapping with its name and options.
        distance: ``d(x)``, of shape ``(N, 1)``: smooth, and zero on the boundary only. For a box,
            pass ``{"low": [-1, -1], "high": [1, 1]}``. An infinite end has no boundary, for
            instance the end of the time axis.
        value: ``g(x)``, of shape ``(N, 1)``: smooth, and equal to the boundary values on the
            boundary. By default zero.

    Raises:
        ConfigError: ``distance`` or ``value`` is neither callable nor the ends of a box.
    """

    def __init__(
        self,
        nn: nn.Module | Mapping[str, Any],
        distance: Field | Mapping[str, Sequence[float]],
        value: Field | None = None,
    ) -> None:
        super().__init__()
        if isinstance(distance, Mapping):
            if distance.keys() != {"low", "high"}:
                raise ConfigError(
                    f"distance={dict(distance)!r}: expected the ends of a box, low and high."
                )
            distance = BoxDistance(**distance)
        for name, field in (("distance", distance), ("value", value)):
            if field is not None and not callable(field):
                raise ConfigError(
                    f"{name}={field!r}: expected a function of points of shape (N, d) that returns "
                    "values of shape (N, 1)."
                )
        self.nn = get_model(nn)
        self.distance = distance
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        """Return values of shape ``(N, 1)`` at points of shape ``(N, d)``.

        Raises:
            ShapeError: The shape of the distance or the value does not match the network's outputs.
        """
        out: Tensor = self.nn(x)
        u = _matching("distance", self.distance(x), out) * out
        return u if self.value is None else u + _matching("value", self.value(x), out)


class BoxDistance:
    """The product of the distances to the sides of a box, scaled to 1 at its center.

    If only one end of an interval is finite, its distance is not scaled.

    Args:
        low: The lower end of each coordinate; ``-inf`` if it is open.
        high: The upper end of each coordinate; ``inf`` if it is open.

    Raises:
        ConfigError: ``low`` and ``high`` differ in length, or a lower end is not below the upper.
    """

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        self.low, self.high = checked_ends(low, high)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the distance, of shape ``(N, 1)``, at points of shape ``(N, d)``.

        Raises:
            ShapeError: The points and the box differ in their number of coordinates.
        """
        if x.shape[-1] != len(self.low):
            raise ShapeError(
                f"The box has {len(self.low)} coordinates, but the points have {x.shape[-1]}. "
                "Include every coordinate in the box, with inf for an open end."
            )
        distance = torch.ones_like(x[:, :1])
        for axis, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            half = (high - low) / 2 if isfinite(high - low) else 1.0
            column = x[:, axis : axis + 1]
            if isfinite(low):
                distance = distance * (column - low) / half
            if isfinite(high):
                distance = distance * (high - column) / half
        return distance


def _matching(name: str, field: Tensor, out: Tensor) -> Tensor:
    if field.shape[:-1] == out.shape[:-1] and field.shape[-1] in {1, out.shape[-1]}:
        return field
    raise ShapeError(
        f"{name} returned values of shape {tuple(field.shape)}, and the network "
        f"{tuple(out.shape)}; expected a row for each point, with one column or as many as the "
        "network. Select columns as x[:, :1]."
    )
