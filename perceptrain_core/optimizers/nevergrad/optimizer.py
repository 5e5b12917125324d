"""The algorithms of nevergrad as optimizers."""

from __future__ import annotations

from array import array as packed
from collections.abc import Callable, Iterable
from math import inf, isfinite, nextafter
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from perceptrain_core.errors import CheckpointError, ConfigError, TrainingError
from perceptrain_core.optimizers.ask_tell import read_vector
from perceptrain_core.optimizers.nevergrad.package import (
    apart,
    find_algorithm,
    import_nevergrad,
    is_of_nevergrad,
)

#: Nevergrad takes losses below 5e20 only; this one stands for all that are worse, and for NaN.
WORST = nextafter(5e20, 0.0)

#: Makes the optimizer of nevergrad for a start and a generator.
_Make: TypeAlias = Callable[[Tensor, np.random.RandomState], Any]


class NevergradOptimizer:
    """Search for the best parameters by losses alone, with an algorithm of nevergrad.

    Each candidate is tried on one batch, so give all the data as one batch: losses of different
    batches do not compare. What was best is kept. ::

        optimizer = NevergradOptimizer(model.parameters(), "CMA", budget=2000, seed=0)
        Trainer(model, optimizer, TrainConfig(max_iter=2000)).fit(data)

    A search of nevergrad cannot be stored as plain values, so `state_dict` holds how it began and
    the loss of every candidate, 8 bytes each, and `load_state_dict` goes through it again, without
    evaluating anything: one to four seconds for 1,000 candidates, as the search itself took.
    NumPy's global random state is neither used nor changed. Some rare algorithms (``"CmaFmin2"``)
    draw by the clock, and cannot be resumed.

    Args:
        params: The parameters; those with ``requires_grad=False`` do not count.
        algorithm: A name in ``nevergrad.optimizers.registry``; or an optimizer made with
            nevergrad, for as many numbers in an array of any shape, which starts where it was
            made to and takes no other option here.
        budget: How many candidates will be tried, in all; several algorithms (``"NGOpt"``) choose
            by it how to search, and need it.
        seed: For the candidates; by default drawn from torch's generator at the first one.
        sigma: The size of the first steps; by default 1, or a sixth of the range of ``bounds``.
        bounds: The lower and the upper bound of every number.
        num_workers: How many candidates nevergrad is to expect at a time. One is asked at a time;
            populations of some algorithms grow with it.

    Attributes:
        params: The parameters.
        search: The optimizer of nevergrad: the one that was given, else ``None`` before the first
            candidate, for the search starts from the values that the parameters have then.
        best: The best candidate so far, shape ``(P,)`` and dtype float64, the first of equals;
            ``None`` before one has a finite loss.
        best_loss: Its loss; infinity before.

    Raises:
        MissingDependencyError: Nevergrad is not installed.
        ConfigError: An option cannot be; an unknown algorithm is one.
        TrainingError: There is nothing to train, or the search is for another number of
            parameters.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        algorithm: Any = "NGOpt",
        budget: int | None = None,
        seed: int | None = None,
        sigma: float | None = None,
        bounds: tuple[float, float] | None = None,
        num_workers: int = 1,
    ) -> None:
        self.params = _trainable(params)
        self._size = sum(p.numel() for p in self.params)
        self.search: Any = None
        self._make: _Make | None = None
        if is_of_nevergrad(algorithm):
            if (budget, seed, sigma, bounds, num_workers) != (None, None, None, None, 1):
                raise ConfigError(
                    f"{algorithm.name} is made already: give budget, seed, sigma, bounds and "
                    "num_workers where it is made."
                )
            self.search, self.algorithm = algorithm, str(algorithm.name)
            _check_size(algorithm, self._size)
        else:
            _check_options(budget, seed, sigma, bounds, num_workers)
            self._make = _maker(algorithm, budget, sigma, bounds, num_workers)
            self.algorithm = algorithm
        self._seed = seed
        self._given = self.search
        self._forget()

    @property
    def given(self) -> Any:
        """What a user gave as the optimizer: the one of nevergrad, or this."""
        return self if self._given is None else self._given

    def _forget(self) -> None:
        self.best: Tensor | None = None
        self.best_loss = inf
        self._losses = packed("d")
        self._start: Tensor | None = None
        self._random: dict[str, Any] = {}
        self._ambient: np.random.RandomState
        self._pending: Any = None
        self._last: Tensor | None = None

    def ask(self) -> Tensor:
        """Give the next candidate, the same one until it is told.

        Returns:
            A vector of shape ``(P,)`` and dtype float64, on the CPU.
        """
        if self._start is None:
            self._begin(read_vector(self.params))
        if self._pending is None:
            with apart(self._ambient):
                self._pending = self.search.ask()
        return _vector(self._pending)

    def tell(self, candidate: Tensor, loss: float) -> None:
        """Take the loss of the candidate that was asked for.

        Raises:
            TrainingError: It is another one.
        """
        if self._pending is None or not torch.equal(candidate, _vector(self._pending)):
            raise TrainingError(
                "The candidate is not the one that ask() gave last, or has been told already: "
                "each ask() is followed by one tell()."
            )
        if isfinite(loss) and loss < self.best_loss:
            self.best, self.best_loss = candidate.clone(), loss
        told = min(loss, WORST) if isfinite(loss) else WORST
        with apart(self._ambient):
            self.search.tell(self._pending, told)
        self._losses.append(loss)
        self._pending, self._last = None, candidate.clone()

    def state_dict(self) -> dict[str, Any]:
        """Give how the search began, the losses so far, and the best and the last candidate."""
        return {
            "algorithm": self.algorithm,
            "parameters": self._size,
            "start": self._start,
            "random": self._random,
            "losses": torch.tensor(self._losses, dtype=torch.float64),
            "last": self._last,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go through a saved search again, and on from there.

        Args:
            state: What `state_dict` gave.

        Raises:
            CheckpointError: It is the state of something else; a search of the user's own has
                gone another way already; or the candidates are not those that were saved, as
                with another version of nevergrad.
        """
        self.check_state(state)
        if state["start"] is None:
            return
        losses = state["losses"].tolist()
        if not self._went_as(state, losses):
            self._begin_anew(state)
        for loss in losses[len(self._losses) :]:
            self.tell(self.ask(), loss)
        if state["last"] is not None and not _equal(self._last, state["last"]):
            raise CheckpointError(
                f"{self.algorithm} proposes other candidates than it did when the checkpoint was "
                "written: use the same version of nevergrad and NumPy, and make the search as "
                "it was made then."
            )

    def _went_as(self, state: dict[str, Any], losses: list[float]) -> bool:
        """Whether this search is the one that was saved, at that point or before it."""
        if self._start is None or not torch.equal(self._start, state["start"]):
            return False
        told = packed("d", losses[: len(self._losses)])
        same_losses = told.tobytes() == self._losses.tobytes()  # of which some may be NaN
        return same_losses and _same(self._random, state["random"])

    def _begin_anew(self, state: dict[str, Any]) -> None:
        if self._given is not None and self._given.num_ask:
            raise CheckpointError(
                f"This {self.algorithm} has been used already, and not for what the checkpoint "
                "holds: resume with one that is made anew."
            )
        self._forget()
        self._begin(state["start"], state["random"])

    def check_state(self, state: dict[str, Any]) -> None:
        """Refuse the state of another search.

        Raises:
            CheckpointError: The algorithm or the number of parameters is another.
        """
        own = {"algorithm": self.algorithm, "parameters": self._size}
        saved = {name: state.get(name) for name in own}
        if own != saved:
            raise CheckpointError(
                f"The checkpoint is of another optimizer: {saved} saved, {own} here."
            )

    def _begin(self, start: Tensor, random: dict[str, Any] | None = None) -> None:
        """Note how the search begins, and make it, unless it was given."""
        generator = self._generator()
        if random is not None:
            generator.set_state(_from_plain(random))
        self._start, self._random = start, _to_plain(generator)
        # What is drawn behind the back of the generator follows from it, and differs.
        self._ambient = np.random.RandomState(int(self._random["key"][-1]))
        if self._make is not None:
            with apart(self._ambient):
                self.search = self._make(start, generator)

    def _generator(self) -> np.random.RandomState:
        """The generator of the search; one that has no seed gets it from torch."""
        seed = int(torch.randint(2**32, ())) if self._seed is None else self._seed
        own = np.random.RandomState(seed)
        if self._given is None:
            return own
        with apart(own):
            given: np.random.RandomState = self._given.parametrization.random_state
        return given


def _maker(
    algorithm: Any,
    budget: int | None,
    sigma: float | None,
    bounds: tuple[float, float] | None,
    num_workers: int,
) -> _Make:
    if not isinstance(algorithm, str):
        raise ConfigError(
            f"algorithm={algorithm!r}: expected the name of an algorithm of nevergrad, or an "
            "optimizer made of one: nevergrad.optimizers.NGOpt(parametrization=..., budget=...)."
        )
    cls = find_algorithm(algorithm)
    if budget is None:
        _check_needs_no_budget(algorithm, cls)

    def make(start: Tensor, generator: np.random.RandomState) -> Any:
        values = start.numpy()
        if bounds is not None and (values.min() < bounds[0] or values.max() > bounds[1]):
            raise TrainingError(
                f"The parameters lie between {values.min():.6g} and {values.max():.6g}, where the "
                f"search starts, and bounds={bounds!r}: give bounds that hold them."
            )
        array = import_nevergrad().p.Array(init=values)
        array.random_state = generator
        if bounds is not None:
            array.set_mutation(sigma=sigma or (bounds[1] - bounds[0]) / 6).set_bounds(*bounds)
        elif sigma is not None:
            array.set_mutation(sigma=sigma)
        return cls(parametrization=array, budget=budget, num_workers=num_workers)

    return make


def _check_needs_no_budget(algorithm: str, cls: Any) -> None:
    try:
        with apart(np.random.RandomState(0)):
            cls(parametrization=2).ask()
    except (AssertionError, TypeError) as error:
        raise ConfigError(
            f"{algorithm} needs a budget: give budget=..., the number of candidates that will "
            "be tried: epochs times batches."
        ) from error


def _check_options(budget: Any, seed: Any, sigma: Any, bounds: Any, num_workers: Any) -> None:
    for name, value in {"budget": budget, "num_workers": num_workers}.items():
        if value is not None and (type(value) is not int or value < 1):
            raise ConfigError(f"{name}={value!r}: expected a whole number of at least 1.")
    if seed is not None and (type(seed) is not int or not 0 <= seed < 2**32):
        raise ConfigError(f"seed={seed!r}: expected a whole number of at least 0, below 2**32.")
    if sigma is not None and not sigma > 0:
        raise ConfigError(f"sigma={sigma!r}: expected a number above 0.")
    if bounds is not None and not (len(bounds) == 2 and bounds[0] < bounds[1]):
        raise ConfigError(f"bounds={bounds!r}: expected (lower, upper), the lower one first.")


def _check_size(search: Any, size: int) -> None:
    if search.dimension != size or not isinstance(
        search.parametrization, import_nevergrad().p.Array
    ):
        raise TrainingError(
            f"{search.name} searches for {search.dimension} numbers, and there are {size} "
            f"trainable parameters: make it with parametrization={size}, which num_parameters "
            "gives, or with an Array of that size."
        )


def _trainable(params: Iterable[Tensor]) -> list[Tensor]:
    given = list(params)
    if not all(isinstance(p, Tensor) for p in given):
        raise TrainingError(
            "A search takes parameters alone, model.parameters(): no names, and no groups."
        )
    trainable = [p for p in given if p.requires_grad]
    if not trainable:
        raise TrainingError("There is no parameter with requires_grad: nothing can be trained.")
    return trainable


def _vector(candidate: Any) -> Tensor:
    return torch.from_numpy(np.array(candidate.value, dtype=np.float64).reshape(-1))


def _to_plain(generator: np.random.RandomState) -> dict[str, Any]:
    _, key, position, has_gauss, gauss = generator.get_state()
    return {
        "key": torch.from_numpy(np.asarray(key, dtype=np.int64)),
        "rest": [int(position), int(has_gauss), float(gauss)],
    }


def _from_plain(state: dict[str, Any]) -> tuple[Any, ...]:
    return ("MT19937", state["key"].numpy().astype(np.uint32), *state["rest"])


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return torch.equal(one["key"], other["key"]) and one["rest"] == other["rest"]


def _equal(one: Tensor | None, other: Tensor) -> bool:
    return one is not None and torch.equal(one, other)
