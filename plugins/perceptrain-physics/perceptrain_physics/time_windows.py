"""Time marching: a problem is solved in windows of time, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import pi
from typing import Any

import torch
from torch import Tensor, nn

from perceptrain.errors import ConfigError
from perceptrain.models import Model
from perceptrain_physics.box import Box
from perceptrain_physics.checks import check_numbers, described, is_function
from perceptrain_physics.problems.periodic_problem import PeriodicProblem
from perceptrain_physics.wrapped import evaluating, pinn_in


def march(
    problem: PeriodicProblem,
    windows: int,
    train: Callable[[TimeWindow], nn.Module],
    *,
    modes: int = 32,
) -> TimeWindows:
    """Solve a periodic problem in equal windows of time, each from the end of the one before.

    Wight, Zhao, "Solving Allen-Cahn and Cahn-Hilliard equations using the adaptive physics informed
    neural networks", arXiv 2007.04542. A network learns a short time far sooner than a long one,
    where it can satisfy the equation at late times without knowing what came before. ::

        def train(window):
            model = window.pinn(hidden=[20, 20, 20])
            config = TrainConfig(max_iter=200, dtype=torch.float64)
            Trainer(model, "gauss_newton", config).fit(window.loader(1000, every=10))
            return model

        problem = KuramotoSivashinsky(hard=True)
        model = march(problem, 10, train)
        print(problem.relative_l2(model))

    Args:
        problem: The problem, with hard conditions or without.
        windows: The number of windows.
        train: ``train(window)`` trains a model of one window, a problem of its own with its box,
            its points and its initial value, and returns the model: a PINN or its network.
        modes: The next window starts from this many Fourier modes of the end of a window, and the
            mean. Too many keep the noise of high derivatives.

    Returns:
        The solution at all times.

    Raises:
        ConfigError: The problem is not periodic, a number is not above 0, or ``train`` does not
            return a model.
    """
    _check_periodic(problem)
    check_numbers("march", windows=windows, modes=modes, whole=True, at_least=1)
    if isinstance(train, nn.Module) or not is_function(train, None):
        raise ConfigError(
            f"train is {described(train)}; expected a function train(window) that returns the "
            "trained model."
        )
    first, last = problem.box.low[0], problem.box.high[0]
    times = [first + (last - first) * n / windows for n in range(windows)] + [last]
    networks: list[nn.Module] = []
    start = None
    for begin, end in pairwise(times):
        window = TimeWindow(problem, begin, end, start)
        model = train(window)
        if not isinstance(model, nn.Module):
            raise ConfigError(
                f"train(window) returned {described(model)}; expected the trained model, a PINN or "
                "its network. End the function with return model."
            )
        pinn = pinn_in(model)
        networks.append(model if pinn is None else pinn.nn)
        start = FourierProfile.of(networks[-1], end, problem, modes)
    return TimeWindows(networks, times[1:-1])


def _check_periodic(problem: Any) -> None:
    if isinstance(problem, PeriodicProblem):
        return
    periodic = isinstance(problem, type) and issubclass(problem, PeriodicProblem)
    advice = (
        f"Create it: {problem.__name__}()."
        if periodic
        else "Time windows need one, such as Advection() or a subclass of PeriodicProblem of your "
        "own, because each starts from a Fourier series of the end of the one before."
    )
    raise ConfigError(f"The problem is {described(problem)}; expected a PeriodicProblem. {advice}")


class TimeWindow(PeriodicProblem):
    """A periodic problem in a part of its time, from a given initial value.

    Args:
        whole: The problem.
        begin: The first time.
        end: The last time.
        start: The initial value as a function of ``x``; None for that of the problem.

    Raises:
        ConfigError: The problem is not periodic, or the times are not in order.
    """

    def __init__(
        self,
        whole: PeriodicProblem,
        begin: float,
        end: float,
        start: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        _check_periodic(whole)
        box = Box([begin, whole.box.low[1]], [end, whole.box.high[1]])
        super().__init__(box, whole.order, whole.hard)
        self.whole = whole
        self._start = start

    @property
    def has_solution(self) -> bool:
        """Whether the solution of the problem is known."""
        return self.whole.has_solution

    def start(self, x: Tensor) -> Tensor:
        """Return the initial value."""
        return self.whole.start(x) if self._start is None else self._start(x)

    def value(self, points: Tensor) -> Tensor:
        """Return the given values of the hard model."""
        return self.whole.value(points) if self._start is None else super().value(points)

    def residual(self, points: Tensor, network: Any) -> Tensor:
        """Return the residual of the equation."""
        return self.whole.residual(points, network)

    def exact(self, points: Tensor) -> Tensor:
        """Return the solution of the problem, of shape ``(N, 1)``."""
        return self.whole.exact(points)


class FourierProfile:
    """A periodic function of ``x`` as a Fourier series.

    Args:
        values: Its values at equidistant points from ``left`` on, one period, of shape ``(N,)``.
        left: The first point.
        period: The period.
        modes: The number of modes besides the mean, below ``N / 2``.
    """

    def __init__(self, values: Tensor, left: float, period: float, modes: int) -> None:
        series = 2 * torch.fft.rfft(values, norm="forward")[: modes + 1]
        series[0] /= 2
        self.left = left
        self.frequencies = 2 * pi / period * torch.arange(modes + 1).to(values)
        self.cosines, self.sines = series.real.contiguous(), -series.imag

    @classmethod
    def of(
        cls, network: nn.Module, time: float, problem: PeriodicProblem, modes: int
    ) -> FourierProfile:
        """Return the values of a network at a time."""
        left, right = problem.box.low[1], problem.box.high[1]
        number = 4 * modes
        x = left + (right - left) * torch.arange(number, dtype=torch.float64) / number
        points = torch.stack([torch.full_like(x, time), x], dim=1)
        parameter = next(network.parameters(), points)
        with torch.no_grad(), evaluating(network):
            values = network(points.to(parameter)).squeeze(1)
        return cls(values, left, right - left, modes)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the values, in the shape of ``x``."""
        angles = (x - self.left).unsqueeze(-1) * self.frequencies.to(x)
        values: Tensor = angles.cos() @ self.cosines.to(x) + angles.sin() @ self.sines.to(x)
        return values


class TimeWindows(Model):
    """Networks of windows of time, as one function of ``(t, x)``.

    The networks of the first and the last window also cover all earlier and later times.

    Args:
        networks: The networks, in order.
        times: The times at which one ends and the next begins.
    """

    def __init__(self, networks: Sequence[nn.Module], times: Sequence[float]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.times = tuple(times)

    def forward(self, points: Tensor) -> Tensor:
        """Return outputs of shape ``(N, outputs)`` at points of shape ``(N, d)``."""
        times = points[:, 0].detach().contiguous()
        window = torch.bucketize(times, times.new_tensor(self.times))
        order = window.argsort(stable=True)
        counts = torch.bincount(window, minlength=len(self.networks)).tolist()
        parts = torch.split(points[order], counts)
        outputs = [
            network(part) for network, part in zip(self.networks, parts, strict=True) if len(part)
        ]
        u: Tensor = torch.cat(outputs)[order.argsort()] if outputs else self.networks[0](points)
        return u
