"""Gradient-free optimization with the algorithms of nevergrad."""

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
from perceptrain_core.option_checks import number_faults, refuse

#: Replaces NaN and larger losses, since nevergrad accepts only losses below 5e20.
WORST = nextafter(5e20, 0.0)

#: Creates the nevergrad optimizer from a starting point and a random generator.
_Make: TypeAlias = Callable[[Tensor, np.random.RandomState], Any]


class NevergradOptimizer:
    """Optimize parameters without gradients, with an algorithm of nevergrad.

    Each candidate is evaluated on one batch. Losses on different batches are not comparable, so use
    a single batch with all data. At the end of each epoch and of the fit, the trainer loads the
    best candidate into the model. ::

        optimizer = NevergradOptimizer(model.parameters(), "CMA", budget=2000, seed=0)
        Trainer(model, optimizer, TrainConfig(max_iter=2000)).fit(data)

    A nevergrad optimizer cannot be saved as plain values. Instead, `state_dict` contains the
    starting point and the loss of every candidate (8 bytes each), and `load_state_dict` replays the
    search without evaluating the model, which takes one to four seconds per 1,000 candidates.
    NumPy's global random state is neither used nor changed. A few algorithms, such as
    ``"CmaFmin2"``, are seeded from the clock and cannot be resumed.

    Args:
        params: The parameters; those with ``requires_grad=False`` are ignored.
        algorithm: A name in ``nevergrad.optimizers.registry``; or a nevergrad optimizer for an
            array with one number per parameter element, of any shape. Such an optimizer starts from
            its own starting point, and the other options must not be set.
        budget: The total number of candidates; required by algorithms that depend on it, such as
            ``"NGOpt"``.
        seed: The seed of the search; by default drawn from torch's generator at the first `ask`.
        sigma: The initial step size; by default 1, or a sixth of the range of ``bounds``.
        bounds: The lower and upper bound of every parameter.
        num_workers: The number of parallel evaluations that nevergrad plans for. Candidates are
            still evaluated one at a time; some algorithms use larger populations.

    Attributes:
        params: The parameters.
        search: The nevergrad optimizer. Unless it was passed as ``algorithm``, it is ``None``
            before the first `ask`, since the search starts from the parameters at that time.
        best: The best candidate so far, of shape ``(P,)`` and dtype float64; the first one in a
            tie. ``None`` until a candidate has a finite loss.
        best_loss: The loss of ``best``; infinity if there is none.

    Raises:
        MissingDependencyError: Nevergrad is not installed.
        ConfigError: An option is not valid, or the algorithm is unknown.
        TrainingError: There are no trainable parameters, or the search is for another number of
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
                    f"{algorithm.name} is already built: set budget, seed, sigma, bounds and "
                    "num_workers where you build it."
                )
            self.search, self.algorithm = algorithm, str(algorithm.name)
            _check_size(algorithm, self._size)
        else:
            _check_options(budget, seed, sigma, bounds, num_workers)
            self._make = _maker(algorithm, budget, sigma, bounds, num_workers)
            self.algorithm = algorithm
        self._seed = seed
        self._given = self.search
        self._reset()

    @property
    def given(self) -> Any:
        """The object that the user passed as the optimizer: nevergrad's own, or this one."""
        return self if self._given is None else self._given

    def _reset(self) -> None:
        self.best: Tensor | None = None
        self.best_loss = inf
        self._losses = packed("d")
        self._start: Tensor | None = None
        self._random: dict[str, Any] = {}
        self._ambient: np.random.RandomState
        self._pending: Any = None
        self._last: Tensor | None = None

    def ask(self) -> Tensor:
        """Return the next candidate; the same one until `tell` is called.

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
        """Report the loss of the candidate that `ask` returned.

        Raises:
            TrainingError: The candidate is not that one, or `tell` has been called already.
        """
        if self._pending is None or not torch.equal(candidate, _vector(self._pending)):
            raise TrainingError(
                "The candidate is not the last one that ask() returned, or its loss has already "
                "been reported: call tell() once after each ask()."
            )
        if isfinite(loss) and loss < self.best_loss:
            self.best, self.best_loss = candidate.clone(), loss
        reported = min(loss, WORST) if isfinite(loss) else WORST
        with apart(self._ambient):
            self.search.tell(self._pending, reported)
        self._losses.append(loss)
        self._pending, self._last = None, candidate.clone()

    def state_dict(self) -> dict[str, Any]:
        """Return the starting point, the generator, the losses and the last candidate."""
        return {
            "algorithm": self.algorithm,
            "parameters": self._size,
            "start": self._start,
            "random": self._random,
            "losses": torch.tensor(self._losses, dtype=torch.float64),
            "last": self._last,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Replay a saved search.

        Args:
            state: What `state_dict` returned.

        Raises:
            CheckpointError: The state belongs to another optimizer; the user's nevergrad optimizer
                has already been used for another run; or the replayed candidates differ, e.g.
                because of another version of nevergrad.
        """
        self.check_state(state)
        if state["start"] is None:
            return
        losses = state["losses"].tolist()
        if not self._is_prefix_of(state, losses):
            self._restart(state)
        for loss in losses[len(self._losses) :]:
            self.tell(self.ask(), loss)
        if state["last"] is not None and not _equal(self._last, state["last"]):
            raise CheckpointError(
                f"{self.algorithm} does not propose the same candidates as when the checkpoint was "
                "written: use the same versions of nevergrad and NumPy, and the same options."
            )

    def _is_prefix_of(self, state: dict[str, Any], losses: list[float]) -> bool:
        """Whether this search is a prefix of the saved one."""
        if self._start is None or not torch.equal(self._start, state["start"]):
            return False
        prefix = packed("d", losses[: len(self._losses)])
        same_losses = prefix.tobytes() == self._losses.tobytes()  # bytes, since NaN != NaN
        return same_losses and _same(self._random, state["random"])

    def _restart(self, state: dict[str, Any]) -> None:
        if self._given is not None and self._given.num_ask:
            raise CheckpointError(
                f"This {self.algorithm} has already been used for a run other than the one in the "
                "checkpoint: resume with a new one."
            )
        self._reset()
        self._begin(state["start"], state["random"])

    def check_state(self, state: dict[str, Any]) -> None:
        """Refuse the state of another search.

        Raises:
            CheckpointError: The algorithm or the number of parameters is different.
        """
        own = {"algorithm": self.algorithm, "parameters": self._size}
        saved = {name: state.get(name) for name in own}
        if own != saved:
            raise CheckpointError(
                f"The checkpoint belongs to another optimizer: it has {saved}, expected {own}."
            )

    def _begin(self, start: Tensor, random: dict[str, Any] | None = None) -> None:
        """Record the starting point and the generator, and create the search if necessary."""
        generator = self._generator()
        if random is not None:
            generator.set_state(_from_plain(random))
        self._start, self._random = start, _to_plain(generator)
        # Code that bypasses the generator uses a separate stream, derived from it.
        self._ambient = np.random.RandomState(int(self._random["key"][-1]))
        if self._make is not None:
            with apart(self._ambient):
                self.search = self._make(start, generator)

    def _generator(self) -> np.random.RandomState:
        """Return the generator of the search, seeded from torch if there is no seed."""
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
            f"algorithm={algorithm!r}: expected the name of a nevergrad algorithm, or a nevergrad "
            "optimizer such as nevergrad.optimizers.NGOpt(parametrization=..., budget=...)."
        )
    cls = find_algorithm(algorithm)
    if budget is None:
        _check_needs_no_budget(algorithm, cls)

    def make(start: Tensor, generator: np.random.RandomState) -> Any:
        values = start.numpy()
        if bounds is not None and (values.min() < bounds[0] or values.max() > bounds[1]):
            raise TrainingError(
                f"The search starts from the parameters, which range from {values.min():.6g} to "
                f"{values.max():.6g}, outside bounds={bounds!r}: use bounds that contain them."
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
            f"{algorithm} needs a budget: pass budget=..., the total number of candidates "
            "(epochs times batches)."
        ) from error


def _check_options(budget: Any, seed: Any, sigma: Any, bounds: Any, num_workers: Any) -> None:
    faults = number_faults(
        {k: v for k, v in {"budget": budget, "num_workers": num_workers}.items() if v is not None},
        whole=True,
        at_least=1,
    )
    if seed is not None:
        faults += number_faults({"seed": seed}, whole=True, at_least=0, below=2**32)
    if sigma is not None:
        faults += number_faults({"sigma": sigma}, above=0)
    if bounds is not None and not (len(bounds) == 2 and bounds[0] < bounds[1]):
        faults.append(f"bounds={bounds!r}: expected (lower, upper), the lower one first")
    refuse("NevergradOptimizer", faults)


def _check_size(search: Any, size: int) -> None:
    if search.dimension != size or not isinstance(
        search.parametrization, import_nevergrad().p.Array
    ):
        raise TrainingError(
            f"{search.name} searches for {search.dimension} numbers, but there are {size} "
            f"trainable parameters: build it with parametrization={size} (see num_parameters), or "
            "with an Array of that size."
        )


def _trainable(params: Iterable[Tensor]) -> list[Tensor]:
    given = list(params)
    if not all(isinstance(p, Tensor) for p in given):
        raise TrainingError(
            "NevergradOptimizer accepts plain parameters only, such as model.parameters(): no "
            "names and no parameter groups."
        )
    trainable = [p for p in given if p.requires_grad]
    if not trainable:
        raise TrainingError(
            "There is no parameter with requires_grad, so nothing can be trained: call "
            "requires_grad_() on some."
        )
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
