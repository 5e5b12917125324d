"""Information content of a loss landscape: its roughness, and bounds on the gradient norm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, sqrt
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from perceptrain_core.analysis.entropy import entropy_of_changes, smallest_share
from perceptrain_core.analysis.landscape import Landscape
from perceptrain_core.errors import ConfigError, NonFiniteLossError
from perceptrain_core.option_checks import number_faults, refuse
from perceptrain_core.types import LossFunction
from perceptrain_core.user_warnings import warn_user

_POINTS_AT_ONCE = 128


class InformationContent:
    """Bound the gradient norm of a loss, using loss values along a random walk.

    Perez-Salinas, Wang, Bonet-Monroig, "Analyzing variational quantum landscapes with information
    content", npj Quantum Information 10, 27 (2024), s41534-024-00819-8.

    The random walk starts at the parameters of the model. It has ``M = variation_multiple * P``
    steps of equal length, with directions drawn uniformly from the sphere. Step ``i`` has the slope
    ``delta_i = (L(i+1) - L(i)) / |theta(i+1) - theta(i)|``. A threshold ``epsilon`` turns each
    slope into a symbol: ``+`` above ``epsilon``, ``-`` below ``-epsilon``, otherwise ``o``. Let
    ``p_ab`` be the fraction of consecutive pairs in which ``a`` is followed by ``b``. The
    information content is the entropy of the pairs that change::

        H(epsilon) = sum over a != b of h(p_ab),    h(p) = -p log_6(p)

    The bounds are on ``g``, the norm of the gradient along the walk. A slope is the derivative in a
    random direction, approximately normal with variance ``g**2 / P``. With ``Phi`` the cumulative
    distribution function of the standard normal, ``P(delta > epsilon) = 1 - Phi(epsilon sqrt(P) /
    g)``.

    - Maximal information content ``H_M``, at ``epsilon_M``. Let ``q <= 1/6`` solve ``H_M = 4 h(q) +
      2 h(1/2 - 2q)``. The right-hand side is the largest entropy of six fractions of which four sum
      to ``4q``, and it increases with ``q``; so any four sum to at least ``4q``. Four of the six
      pairs contain a given symbol, and each occurrence of a symbol is in at most two pairs, so the
      symbol's fraction is at least ``2q``. For ``+`` this means ``1 - Phi(epsilon_M sqrt(P) / g) >=
      2q``, for ``o`` it means ``2 Phi(epsilon_M sqrt(P) / g) - 1 >= 2q``. Therefore ::

          epsilon_M sqrt(P) / Phi^-1(1 - 2q)  <=  g  <=  epsilon_M sqrt(P) / Phi^-1(1/2 + q)

      If ``H_M <= log_6(2)``, there is no such ``q``, and the bounds are 0 and infinity.
    - Sensitivity: the smallest ``epsilon_S`` with ``H(epsilon_S) <= eta <= 1/6``. Since ``h(p) >=
      p`` for ``p <= 1/6``, the six fractions sum to at most ``eta``. For independent, symmetric
      steps ``p_++ = p_-- = p_+-``, so each is at most ``eta``. Therefore the fraction of ``o`` is
      at least ``1 - 3 eta``: ``2 Phi(epsilon_S sqrt(P) / g) - 1 >= 1 - 3 eta``, which means ::

          g  <=  epsilon_S sqrt(P) / Phi^-1(1 - 3 eta / 2)

    The bounds hold for any thresholds, up to the noise of a finite walk; a finer grid makes them
    tighter. The model is evaluated in evaluation mode and is not changed. The result is
    deterministic for a given torch seed.

    Args:
        model: The model, with ``P`` trainable parameters.
        loss_fn: ``loss_fn(batch, model) -> (loss, metrics)``, as in training.
        xs: The batch.
        epsilons: Thresholds to try: positive numbers, in any order.
        variation_multiple: The number of steps per parameter.
        step_size: The length of a step. Slopes are finite differences, so choose a length that is
            small on the scale of the landscape, but not so small that rounding dominates.

    Attributes:
        epsilons: The thresholds, a float64 tensor of shape ``(E,)``, ascending.
        deltas: The slopes, a float64 tensor of shape ``(M,)``.
        values: ``H`` for each threshold, a float64 tensor of shape ``(E,)``.

    Raises:
        ConfigError: A threshold, ``variation_multiple`` or ``step_size`` is not valid.
        TrainingError: The model has no trainable parameters.
        LossContractError: The loss did not return ``(loss, metrics)``.
        NonFiniteLossError: The loss is NaN or infinite somewhere on the walk.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        xs: Any,
        epsilons: Tensor | Sequence[float],
        variation_multiple: int = 20,
        *,
        step_size: float = 0.1,
    ) -> None:
        self.epsilons = _thresholds(epsilons)
        refuse("", number_faults({"step_size": step_size}, above=0))
        landscape = Landscape(model, loss_fn, xs)
        self._parameters = len(landscape.theta)
        steps = _steps(variation_multiple, self._parameters)
        walk = _walk(landscape.theta, steps, step_size)
        losses = torch.cat([landscape(points).double().cpu() for points in walk])
        if not losses.isfinite().all():
            bad = int(losses.isfinite().logical_not().sum())
            raise NonFiniteLossError(
                f"The loss is NaN or infinite at {bad} of the {len(losses)} points of the walk; "
                f"decrease step_size={step_size} to stay closer to the model."
            )
        self.deltas = losses.diff() / step_size
        self.values = torch.stack(
            [entropy_of_changes(self.deltas, epsilon) for epsilon in self.epsilons]
        )

    def max_IC(self) -> tuple[float, float]:
        """Return ``(H_M, epsilon_M)``: the maximal information content and its threshold."""
        at = int(self.values.argmax())
        return float(self.values[at]), float(self.epsilons[at])

    def sensitivity_IC(self, eta: float) -> float:
        """Return the smallest threshold with an information content of at most ``eta``.

        Args:
            eta: The sensitivity, above 0 and at most 1/6.

        Returns:
            The threshold; infinity if none is large enough.

        Raises:
            ConfigError: ``eta`` is out of range.

        Warns:
            UserWarning: No threshold is large enough.
        """
        if not 0 < eta <= 1 / 6:
            raise ConfigError(f"eta={eta!r}: expected a number above 0 and at most 1/6.")
        enough = self.epsilons[self.values <= eta]
        if len(enough):
            return float(enough[0])
        warn_user(
            f"The information content is above eta={eta} at every threshold up to "
            f"{float(self.epsilons[-1]):.3g}, so the bound is infinite. Try thresholds up to "
            f"{float(self.deltas.abs().max()):.3g}."
        )
        return inf

    def get_grad_norm_bounds_max_IC(self) -> tuple[float, float]:
        """Return lower and upper bounds on the gradient norm from the maximal content."""
        content, epsilon = self.max_IC()
        q = smallest_share(content)
        if q < 1e-9:
            return 0.0, inf
        scale, quantile = epsilon * sqrt(self._parameters), NormalDist().inv_cdf
        return scale / quantile(1 - 2 * q), scale / quantile(0.5 + q)

    def get_grad_norm_bounds_sensitivity_IC(self, eta: float) -> float:
        """Return an upper bound on the gradient norm from the sensitivity; see the class."""
        scale = self.sensitivity_IC(eta) * sqrt(self._parameters)
        return scale / NormalDist().inv_cdf(1 - 1.5 * eta)


def _thresholds(epsilons: Tensor | Sequence[float]) -> Tensor:
    try:
        values = torch.as_tensor(epsilons, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError):
        values = torch.empty(0)
    if values.dim() != 1 or not len(values) or not ((values > 0) & values.isfinite()).all():
        raise ConfigError(
            f"epsilons={epsilons!r}: expected a list of positive numbers, "
            "e.g. torch.logspace(-4, 1, 100)."
        )
    return values.sort().values


def _steps(variation_multiple: int, parameters: int) -> int:
    if isinstance(variation_multiple, int) and variation_multiple * parameters >= 2:
        return variation_multiple * parameters
    raise ConfigError(
        f"variation_multiple={variation_multiple!r}: expected a whole number, the steps of the "
        f"walk per parameter. There are {parameters} parameters; the walk needs at least two steps."
    )


def _walk(start: Tensor, steps: int, step_size: float) -> Iterator[Tensor]:
    """Yield the points of the walk, beginning with the start, in tensors of shape ``(n, P)``."""
    position = start[None]
    yield position
    for first in range(0, steps, _POINTS_AT_ONCE):
        # Drawn on the CPU in float64, so that a seed gives the same walk on every device.
        directions = torch.randn(
            min(_POINTS_AT_ONCE, steps - first), len(start), dtype=torch.float64
        )
        moves = step_size * normalize(directions, dim=1).to(start)
        points = position + moves.cumsum(0)
        yield points
        position = points[-1:]
