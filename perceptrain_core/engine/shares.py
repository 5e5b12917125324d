"""The shares of several processes in one loader, all of which draw the same order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.utils.data import Sampler, SequentialSampler

from perceptrain_core.data.position.generators import seed_generators
from perceptrain_core.data.support.chosen_rows import ChosenRows
from perceptrain_core.data.support.loader_length import is_infinite
from perceptrain_core.data.support.private_random import PrivateRandom
from perceptrain_core.data.support.sliced_batches import iterate
from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.types import Loader

#: Draws a number from a generator (``None`` is torch's own), the same in all processes.
Draw: TypeAlias = Callable[[torch.Generator | None], int]


@dataclass(frozen=True)
class Place:
    """A process among others, and how they share.

    Attributes:
        rank: The rank of this process, counted from 0.
        world_size: The number of processes.
        even: Whether all shares must have the same number of batches, as in training.
    """

    rank: int
    world_size: int
    even: bool

    def rounds(self, units: int, of_each: int, drop_last: bool) -> int:
        """Return the number of rounds in which every process gets ``of_each`` units."""
        whole = units // (self.world_size * of_each)
        return whole if drop_last else -(-units // (self.world_size * of_each))


class LoaderOfShare:
    """A loader that stands for another, with the same description.

    Args:
        loader: The loader, the same in all processes.

    Attributes:
        loader: The loader.
        infinite: Whether it is infinite.
    """

    def __init__(self, loader: Any) -> None:
        self.loader: Any = loader
        self.infinite = is_infinite(loader)

    @property
    def dataset(self) -> Any:
        """The data set of the loader, if it has one."""
        return getattr(self.loader, "dataset", None)

    @property
    def sampler(self) -> Any:
        """The sampler of the loader, if it has one."""
        return getattr(self.loader, "sampler", None)

    @property
    def batch_size(self) -> int | None:
        """The rows of a batch in each process, if known."""
        return getattr(self.loader, "batch_size", None)


class Share(LoaderOfShare, ABC):
    """The share of one process in a loader: a part of each pass.

    In each pass, all processes draw one order from the same seed, and the units of this order,
    rows or whole batches, are dealt to them in turn. So the units that all processes have used
    are the beginning of the order, and any number of processes can continue from there.

    Args:
        loader: The loader, the same in all processes.
        place: This process.
        draw: Draws the seed of a pass.

    Attributes:
        seed: The seed of the current pass; ``None`` if it continues that of a single process.
        start: The units of the current pass that had been used when it was begun here.
    """

    #: What is dealt: ``"rows"`` or ``"batches"``.
    unit = "batches"

    def __init__(self, loader: Any, place: Place, draw: Draw) -> None:
        super().__init__(loader)
        self.generator: torch.Generator | None = getattr(loader, "generator", None)
        self.seed: int | None = None
        self.start = 0
        self._place = place
        self._draw = draw
        self._next: tuple[PrivateRandom, int | None, int] | None = None

    @property
    def units_per_step(self) -> int:
        """The number of units that one batch of each process uses."""
        return self._place.world_size

    def continue_pass(self, random: PrivateRandom | None, seed: int | None, start: int) -> None:
        """Let the next pass continue one that was begun elsewhere, by other processes.

        Args:
            random: The random state that the pass was begun with; that of the seed by default.
            seed: The seed of the pass.
            start: The number of its units that have been used.
        """
        self._next = random or PrivateRandom(seed), seed, start

    def __iter__(self) -> Iterator[Any]:
        if self._next is None:
            # Others draw no number in one process either, so that callers draw the same ones next.
            seed = self._draw(self.generator) if _has_random_order(self.loader) else 0
            random, self.seed, self.start = PrivateRandom(seed), seed, 0
        else:
            (random, self.seed, self.start), self._next = self._next, None
        return self._begin(random)

    @abstractmethod
    def _begin(self, random: PrivateRandom) -> Iterator[Any]:
        """Begin a pass after the first ``start`` units."""

    @abstractmethod
    def length_after(self, start: int) -> int:
        """Return the number of batches in a pass that continues after ``start`` units.

        Raises:
            TypeError: The loader has no length.
        """

    def __len__(self) -> int:
        """The number of batches in a whole pass."""
        return self.length_after(0)

    def _seed_generators(self, *owners: Any) -> None:
        """Seed the generators that the order comes from: those of processes may differ."""
        if self.seed is not None:
            for owner in owners:
                seed_generators(owner, self.seed)


class RowShare(Share):
    """Rows of a loader whose rows come in the order of a sampler.

    In training, a process gets every ``world_size``-th row. If the last round has fewer rows than
    there are processes, a few rows of the beginning are repeated. In evaluation it gets whole
    batches, none of them twice.

    Args:
        loader: A loader with a sampler.
        place: This process.
        draw: Draws the seed of a pass.
        remade: Returns the same loader with another sampler.
        order: Returns the rows of a pass of the loader, with the random numbers that it draws.
    """

    unit = "rows"

    def __init__(
        self,
        loader: Any,
        place: Place,
        draw: Draw,
        remade: Callable[[Sampler[int]], Loader],
        order: Callable[[], Tensor],
    ) -> None:
        super().__init__(loader, place, draw)
        self._chosen = ChosenRows()
        self._order = order
        #: The loader of the share, where its workers are found.
        self.dataloader: Any = remade(self._chosen)

    @property
    def units_per_step(self) -> int:
        """The number of rows in a batch of each process."""
        return self._place.world_size * self._size

    def _begin(self, random: PrivateRandom) -> Iterator[Any]:
        self._seed_generators(self.sampler, self.generator)
        with random:
            order = self._order()
        self._chosen.rows = self._share(order)
        return iterate(self.dataloader)

    def _share(self, order: Tensor) -> Tensor:
        place, rest = self._place, order[self.start :]
        rank, processes = place.rank, place.world_size
        if not place.even:
            size = len(rest) - len(rest) % self._size if self._drop_last else len(rest)
            return rest[:size][torch.arange(size) // self._size % processes == rank]
        per_step = self.units_per_step
        if self._drop_last:
            return rest[: len(rest) - len(rest) % per_step][rank::processes]
        if 0 < (missing := processes - len(rest) % per_step) < processes:
            repeated = torch.arange(missing) % len(order)
            rest = torch.cat([rest, order[repeated]])
        return rest[rank::processes]

    @property
    def _size(self) -> int:
        return self.batch_size or 1

    @property
    def _drop_last(self) -> bool:
        return bool(self.loader.drop_last)

    def length_after(self, start: int) -> int:
        """Return the number of batches after ``start`` rows."""
        rows, place = max(0, len(self.sampler) - start), self._place
        if place.even:
            return place.rounds(rows, self._size, self._drop_last)
        batches = rows // self._size if self._drop_last else -(-rows // self._size)
        return -(-(batches - place.rank) // place.world_size)


class BatchShare(Share):
    """Batches of a batch sampler; rows of other shares are never loaded.

    Args:
        loader: A loader with a batch sampler.
        place: This process.
        draw: Draws the seed of a pass.
        remade: Returns the same loader with another batch sampler.
        order: Returns the batches of a pass, lists of rows, with the random numbers it draws.
    """

    def __init__(
        self,
        loader: Any,
        place: Place,
        draw: Draw,
        remade: Callable[[Any], Loader],
        order: Callable[[], list[list[int]]],
    ) -> None:
        super().__init__(loader, place, draw)
        self._chosen: list[list[int]] = []
        self._order = order
        self.dataloader: Any = remade(self._chosen)

    def _begin(self, random: PrivateRandom) -> Iterator[Any]:
        self._seed_generators(self.loader.batch_sampler, self.generator)
        with random:
            order = self._order()
        self._chosen[:] = _deal(order[self.start :], self._place)
        return iter(self.dataloader)

    def length_after(self, start: int) -> int:
        """Return the number of batches after ``start`` batches of all processes."""
        return _dealt_length(len(self.loader.batch_sampler) - start, self._place)


class StreamShare(Share):
    """Batches of any loader; a process iterates over all of them, and skips those of others."""

    def _begin(self, random: PrivateRandom) -> Iterator[Any]:
        self._seed_generators(self.loader)
        with random:
            batches = iterate(self.loader)
        return _deal_stream(batches, random, self.start, self._place)

    def length_after(self, start: int) -> int:
        """Return the number of batches after ``start`` batches of all processes."""
        return _dealt_length(len(self.loader) - start, self._place)


def _has_random_order(loader: Any) -> bool:
    """Whether a pass of a loader may draw random numbers."""
    in_order = type(getattr(loader, "sampler", None)) is SequentialSampler
    return not (isinstance(loader, list | tuple) or (type(loader) is TensorLoader and in_order))


def _deal(batches: Iterable[Any], place: Place) -> Iterator[Any]:
    """Yield one batch of each round; if the last round is not full, its batches are repeated."""
    stream = iter(batches)
    while round_ := list(islice(stream, place.world_size)):
        yield from _of_round(round_, place)


def _deal_stream(
    batches: Iterator[Any], random: PrivateRandom, start: int, place: Place
) -> Iterator[Any]:
    with random:
        deque(islice(batches, start), maxlen=0)
    while True:
        with random:
            round_ = list(islice(batches, place.world_size))
        if not round_:
            return
        yield from _of_round(round_, place)


def _of_round(batches: Sequence[Any], place: Place) -> Sequence[Any]:
    if place.even or place.rank < len(batches):
        return [batches[place.rank % len(batches)]]
    return []


def _dealt_length(batches: int, place: Place) -> int:
    return max(0, -(-(batches if place.even else batches - place.rank) // place.world_size))
