"""The base of losses that weigh points: residuals in, one term for each condition out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain.errors import ConfigError, DataError


class PointWeightedLoss(nn.Module, ABC):
    """The mean squared residuals of a PINN, in which some conditions have weights for their points.

    The metrics are the terms, with their graph, so that a weighting of terms can go on from there:
    ``WeightedLoss(CausalLoss(), "grad_weighted")``. Points are weighed in training only, while
    gradients are on and the model is in training mode; in validation each term is a plain mean
    square, and no state changes. Within one step of the optimizer the weights change at most once,
    as in a `WeightedLoss`.

    Args:
        names: The conditions whose points are weighed; None for all.
    """

    def __init__(self, names: Sequence[str] | None) -> None:
        super().__init__()
        if isinstance(names, str):
            raise ConfigError(f"names={names!r}: expected a list of names, such as [{names!r}].")
        self.names = None if names is None else tuple(names)
        self._stepwise = False
        self._step_open = True

    @abstractmethod
    def weigh(self, name: str, points: Tensor, squares: Tensor, update: bool) -> Tensor:
        """Give the term of a condition.

        Args:
            name: The condition.
            points: Its points, of shape ``(N, d)``.
            squares: The squared residual at each, of shape ``(N,)``, with its graph.
            update: Whether the weights may change.

        Returns:
            The weighted mean, a 0-dim tensor.
        """

    def begin_step(self) -> None:
        """Tell that an optimizer step begins; the next call in training may change the weights."""
        self._stepwise = True
        self._step_open = True

    def end_steps(self) -> None:
        """Tell that `begin_step` will not be called any more: every training call is a step."""
        self._stepwise = False

    def forward(
        self, batch: Mapping[str, Tensor], model: nn.Module
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Evaluate the loss.

        Args:
            batch: A dict of points of shape ``(N, d)``.
            model: A PINN, or another model that gives a residual for each of them, with a row for
                each point.

        Returns:
            The sum of the terms, and the terms.

        Raises:
            DataError: The model gave no residuals for these points.
            ConfigError: A condition that is to be weighed is not there.
        """
        residuals = model(batch) if isinstance(batch, Mapping) else None
        self._check(batch, residuals)
        train = model.training and torch.is_grad_enabled()
        update = train and (self._step_open or not self._stepwise)
        if train:
            self._step_open = False
        terms = {}
        for name, residual in residuals.items():
            if train and (self.names is None or name in self.names):
                squares = residual.square().reshape(len(residual), -1).mean(1)
                terms[name] = self.weigh(name, batch[name].detach(), squares, update)
            else:
                terms[name] = residual.square().mean()
        return torch.stack(list(terms.values())).sum(), terms

    def _check(self, batch: Any, residuals: Any) -> None:
        if not isinstance(residuals, Mapping) or not residuals:
            returned = "" if residuals is None else f"; the model gave {type(residuals).__name__}"
            raise DataError(
                f"The batch is of type {type(batch).__name__}{returned}. Expected a dict of "
                "points, and a model that gives a dict of residuals, as a PINN does."
            )
        for name in self.names or ():
            if name not in residuals:
                raise ConfigError(
                    f"{type(self).__name__} weighs the points of {name!r}, and the model gave "
                    f"residuals of {', '.join(residuals)}. Name some of these."
                )
        for name, residual in residuals.items():
            if residual.shape[:1] != batch[name].shape[:1]:
                raise DataError(
                    f"The residual {name!r} has the shape {tuple(residual.shape)} at points of "
                    f"shape {tuple(batch[name].shape)}; expected a row for each point."
                )


def check_length(name: str, weights: Tensor, squares: Tensor) -> None:
    """Refuse points of another number than there are weights.

    Raises:
        DataError: They are so.
    """
    if weights.shape != squares.shape:
        raise DataError(
            f"There are {len(weights)} weights for the points of {name!r}, and {len(squares)} "
            "points came. Each weight belongs to one point: give the same points at each step, in "
            "one batch and one order, as fit([points]) does with a dict of tensors."
        )
