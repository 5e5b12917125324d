"""A loader that draws new random points for each condition, at every step or every few steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

from torch import Tensor

from perceptrain.errors import DataError
from perceptrain_physics.box import Sampler
from perceptrain_physics.checks import described, is_function


class FreshPoints:
    """A loader whose batches are dicts of newly drawn points, the input of a PINN. ::

        loader = FreshPoints({"pde": lambda n: torch.rand(n, 2), "start": box.face(0, 0.0)})

    If the samplers draw from torch's default generator, a seed fixes all points, and a resumed run
    uses the same points as an uninterrupted one.

    Optimizers with a line search, such as L-BFGS, or with a memory of earlier gradients need one
    objective over many steps. With new points at each step they compare losses at different
    points: set ``every``, for instance to 500. A sampler may have a state of its own, with
    ``state_dict`` and ``load_state_dict``; see `AdaptiveSampler`.

    Args:
        samplers: ``sampler(n)`` by condition; it draws points of shape ``(n, d)``.
        points: ``n``: one number for all conditions, or a number by condition.
        steps: Batches per epoch. By default the loader is infinite, and one batch is an epoch.
        every: Draw new points every so many batches, also across epochs and fits; in between, the
            batches are equal.

    Raises:
        DataError: There are no samplers, or a number is not above 0.
    """

    #: Points may be held across epochs, so a checkpoint between two epochs saves them.
    state_outlives_epochs = True

    def __init__(
        self,
        samplers: Mapping[str, Sampler],
        points: int | Mapping[str, int] = 128,
        steps: int | None = None,
        every: int = 1,
    ) -> None:
        _check_samplers(samplers)
        self.samplers = dict(samplers)
        numbers = points if isinstance(points, Mapping) else dict.fromkeys(samplers, points)
        if numbers.keys() != samplers.keys() or not all(map(_is_count, numbers.values())):
            raise DataError(
                f"points={points!r}: expected a whole number above 0, or one for each of "
                f"{', '.join(samplers)}."
            )
        if steps is not None and not _is_count(steps):
            raise DataError(f"steps={steps!r}: expected a whole number above 0, or None.")
        if not _is_count(every):
            raise DataError(f"every={every!r}: expected a whole number above 0.")
        self.points = dict(numbers)
        self.steps = steps
        self.every = every
        self._held: dict[str, Tensor] = {}
        self._remaining = 0

    @property
    def infinite(self) -> bool:
        """Whether the loader never ends."""
        return self.steps is None

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        if self.steps is None:
            raise TypeError("an infinite loader has no length")
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for _ in count() if self.steps is None else range(self.steps):
            yield self._next()

    def _next(self) -> dict[str, Tensor]:
        if self.every == 1:
            return self.draw()
        if not self._remaining:
            self._held, self._remaining = self.draw(), self.every
        self._remaining -= 1
        return dict(self._held)

    def draw(self) -> dict[str, Tensor]:
        """Draw one batch."""
        return {name: sample(self.points[name]) for name, sample in self.samplers.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the points that are held, and the state of samplers that have one.

        The rest of the state is torch's generator, which a checkpoint holds.
        """
        return {
            "held": dict(self._held) if self._remaining else {},
            "remaining": self._remaining,
            "samplers": {name: each.state_dict() for name, each in self._stateful().items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self._held, self._remaining = dict(state["held"]), state["remaining"]
        for name, sampler in self._stateful().items():
            if name in state["samplers"]:
                sampler.load_state_dict(state["samplers"][name])

    def _stateful(self) -> dict[str, Any]:
        return {name: each for name, each in self.samplers.items() if hasattr(each, "state_dict")}


def _check_samplers(samplers: Any) -> None:
    example = 'such as {"pde": lambda n: torch.rand(n, 2)}'
    if not isinstance(samplers, Mapping) or not samplers:
        raise DataError(
            f"samplers={samplers!r:.200}: expected a dict with a function n -> points for each "
            f"condition, {example}."
        )
    for name, sampler in samplers.items():
        if not is_function(sampler, 1):
            raise DataError(
                f"The sampler of {name!r} is {described(sampler)}; expected a function "
                f"n -> points of one argument, {example}: pass box.inside, not box.inside(n)."
            )


def _is_count(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0
