"""A network that meets its boundary values exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from perceptrain import get_model
from perceptrain.errors import ConfigError, ShapeError
from perceptrain.models import Model

#: A function of points of shape ``(N, d)`` that gives values of shape ``(N, 1)``.
Field: TypeAlias = Callable[[Tensor], Tensor]


class HardBoundary(Model):
    """Give ``u(x) = g(x) + d(x) * nn(x)``, so that ``u = g`` wherever ``d = 0``.

    Lagaris, Likas, Fotiadis, "Artificial neural networks for solving ordinary and partial
    differential equations", IEEE Trans. Neural Netw. 9(5), 1998. No loss term is needed there. ::

        network = HardBoundary(
            FFNN([2, 50, 50, 1]),
            distance=lambda x: (1 - x[:, :1] ** 2) * (1 - x[:, 1:] ** 2),
        )

    Args:
        nn: The network, or a registered model as a mapping with its name and options.
        distance: ``d(x)``, of shape ``(N, 1)``: smooth, zero on the boundary and nowhere else. Or
            ``{"low": [-1, -1], "high": [1, 1]}``, for a box; a side at infinity is open, as the end
            of time is.
        value: ``g(x)``, of shape ``(N, 1)``: smooth, and the boundary values on the boundary. By
            default zero.

    Raises:
        ConfigError: A function cannot be called.
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
                    f"{name}={field!r}: expected a function of points of shape (N, d) that gives "
                    "values of shape (N, 1)."
                )
        self.nn = get_model(nn)
        self.distance = distance
        self.value = value

    def forward(self, x: Tensor) -> Tensor:
        """Give values of shape ``(N, 1)`` at points of shape ``(N, d)``.

        Raises:
            ShapeError: The distance or the value has another shape than the network's outputs.
        """
        out: Tensor = self.nn(x)
        u = _same("distance", self.distance(x), out) * out
        return u if self.value is None else u + _same("value", self.value(x), out)


class BoxDistance:
    """The product of the distances from the sides of a box, 1 in its middle.

    Args:
        low: The lower end in each coordinate; ``-inf`` where it is open.
        high: The upper end; ``inf`` where it is open. Of an interval with one end it is the plain
            distance from that.

    Raises:
        ConfigError: The ends are not as many, or a lower one is not below the upper.
    """

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        if len(low) != len(high) or not all(a < b for a, b in zip(low, high, strict=True)):
            raise ConfigError(
                f"low={low!r}, high={high!r}: expected a number for each coordinate, each lower "
                "end below the upper."
            )
        self.low, self.high = tuple(low), tuple(high)

    def __call__(self, x: Tensor) -> Tensor:
        """Give the distance, of shape ``(N, 1)``, at points of shape ``(N, d)``.

        Raises:
            ShapeError: The points have another number of coordinates than the box.
        """
        if x.shape[-1] != len(self.low):
            raise ShapeError(
                f"The box has {len(self.low)} coordinates, and the points {x.shape[-1]}; expected "
                "as many: an end that is open is inf."
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


def _same(name: str, field: Tensor, out: Tensor) -> Tensor:
    if field.shape[:-1] == out.shape[:-1] and field.shape[-1] in {1, out.shape[-1]}:
        return field
    raise ShapeError(
        f"{name} gave values of shape {tuple(field.shape)}, and the network {tuple(out.shape)}; "
        "expected a row for each point, of one column or as many. Take columns as x[:, :1]."
    )
