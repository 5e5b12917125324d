"""Base class of losses that weight the points of each condition."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain import Counted
from perceptrain.errors import ConfigError, DataError
from perceptrain.types import Residuals


class PointWeightedLoss(nn.Module, ABC):
    """The mean squared residuals of a PINN, with point weights for some or all conditions.

    The metrics are the terms, with their graph, so a weighting of terms can be put on top:
    ``WeightedLoss(CausalLoss(), "grad_weighted")``. Points are weighted only during training, with
    gradients enabled and the model in training mode. In validation each term is a plain mean
    square over all its points, and the state does not change. Weights change at most once per
    optimizer step, as in `WeightedLoss`.

    Args:
        names: The conditions to weight; None for all.

    Attributes:
        whole_batch: Whether the weights depend on all points of a batch together, or belong to the
            points of one batch; then the trainer warns if batches are split.

    Raises:
        ConfigError: ``names`` is a string instead of a list.
    """

    whole_batch = True

    def __init__(self, names: Sequence[str] | None) -> None:
        super().__init__()
        if isinstance(names, str):
            raise ConfigError(f"names={names!r}: expected a list of names, such as [{names!r}].")
        self.names = None if names is None else tuple(names)
        self._stepwise = False
        self._step_open = True

    @abstractmethod
    def weigh(self, name: str, points: Tensor, squares: Tensor, update: bool) -> Tensor:
        """Return the weighted term of a condition.

        Args:
            name: The condition.
            points: Its points, of shape ``(N, d)``.
            squares: The squared residual at each point, of shape ``(N,)``, with its graph.
            update: Whether to update the weights.

        Returns:
            The weighted mean, a 0-dim tensor.
        """

    #: Attributes that only count calls; see `next_call` for what depends on them.
    uncaptured = ("_stepwise", "_step_open")

    def next_call(self) -> bool:
        """Say whether the next call in training updates the weights."""
        return self._step_open or not self._stepwise

    def count_call(self) -> None:
        """Count a call in training that a captured step has made in place of `forward`."""
        self._step_open = False

    def begin_step(self) -> None:
        """Start an optimizer step: only the next training call may update the weights."""
        self._stepwise = True
        self._step_open = True

    def end_steps(self) -> None:
        """Leave the mode of `begin_step`: every training call may update the weights again."""
        self._stepwise = False

    def forward(self, batch: Mapping[str, Tensor], model: nn.Module) -> tuple[Tensor, Counted]:
        """Evaluate the loss.

        Args:
            batch: A dict of points of shape ``(N, d)``, by condition.
            model: A PINN, or another model that returns a dict of residuals, one row per point.

        Returns:
            The sum of the terms, and the terms by condition.

        Raises:
            DataError: The batch is not a dict of points, or the model did not return one row of
                residuals per point.
            ConfigError: The model has no residuals for a condition in ``names``.
        """
        residuals = model(batch) if isinstance(batch, Mapping) else None
        self._check(batch, residuals)
        train = self._weighs(model)
        update = train and (self._step_open or not self._stepwise)
        if train:
            self._step_open = False
        terms: dict[str, Tensor] = {}
        for name, residual in residuals.items():
            if train and self._has_weights(name):
                squares = residual.square().reshape(len(residual), -1).mean(1)
                terms[name] = self.weigh(name, batch[name].detach(), squares, update)
            else:
                terms[name] = residual.square().mean()
        counts = {name: residuals[name].numel() for name in terms}
        loss = torch.stack(list(terms.values())).sum()
        return loss, Counted(terms, counts, dict.fromkeys(terms, 1.0))

    def residuals(self, batch: Mapping[str, Tensor], model: nn.Module) -> Residuals:
        """Return the residuals by condition, with the current point weights as scales.

        A Gauss-Newton step needs them. The weights are those of the latest call of the loss.
        """
        residuals = model(batch) if isinstance(batch, Mapping) else None
        self._check(batch, residuals)
        found: Residuals = {}
        for name, residual in residuals.items():
            scale: Tensor | float = 1 / residual.numel()
            if self._weighs(model) and self._has_weights(name):
                rows = residual.detach().reshape(len(residual), -1)
                squares = rows.square().mean(1).requires_grad_()
                # A term is linear in the squares, while its weights are constant.
                term = self.weigh(name, batch[name].detach(), squares, False)
                (weights,) = torch.autograd.grad(term, squares)
                scale = (weights / rows.shape[1]).reshape(-1, *[1] * (residual.ndim - 1))
            found[name] = residual, scale
        return found

    def _weighs(self, model: nn.Module) -> bool:
        return model.training and torch.is_grad_enabled()

    def _has_weights(self, name: str) -> bool:
        return self.names is None or name in self.names

    def _check(self, batch: Any, residuals: Any) -> None:
        if not isinstance(residuals, Mapping) or not residuals:
            returned = (
                "" if residuals is None else f"; the model returned {type(residuals).__name__}"
            )
            raise DataError(
                f"The batch is of type {type(batch).__name__}{returned}. Expected a dict of "
                "points, and a model that returns a dict of residuals, such as a PINN."
            )
        for name in self.names or ():
            if name not in residuals:
                raise ConfigError(
                    f"{type(self).__name__} is to weight the points of {name!r}, but the model "
                    f"returned residuals for {', '.join(residuals)}. Name some of these."
                )
        for name, residual in residuals.items():
            if residual.shape[:1] != batch[name].shape[:1]:
                raise DataError(
                    f"The residual {name!r} has shape {tuple(residual.shape)} at points of shape "
                    f"{tuple(batch[name].shape)}; expected one row per point."
                )


def check_length(name: str, weights: Tensor, squares: Tensor) -> None:
    """Check that there is one weight per point.

    Raises:
        DataError: The numbers differ.
    """
    if weights.shape != squares.shape:
        raise DataError(
            f"There are {len(weights)} weights for the points of {name!r}, but {len(squares)} "
            "points. Each weight belongs to one point: use the same points in the same order at "
            "every step, all in one batch, such as fit([points]) with a dict of tensors."
        )
