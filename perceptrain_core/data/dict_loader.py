"""Several loaders side by side: a batch is a dict with one part from each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from perceptrain_core.data.position.replayed_iterator import ReplayedIterator
from perceptrain_core.data.support.loader_length import is_infinite
from perceptrain_core.data.support.sliced_batches import iterate
from perceptrain_core.errors import DataError
from perceptrain_core.types import Loader

_END = object()


class DictDataLoader:
    """Yield dicts of batches, as a PINN expects: ``{"pde": points, "boundary": points}``.

    An epoch lasts until the longest finite loader ends; shorter ones restart when they end, and
    infinite ones continue in the next epoch. If all loaders are infinite, so is this one.

    ``state_dict`` and ``load_state_dict`` save and restore the positions of all loaders that have
    these methods. An infinite loader continues from its position; a finite one restarts, as in
    each epoch. The batches of an infinite loader without these methods are counted, and skipped
    to restore its position.

    Args:
        dataloaders: A loader for each name.

    Iterating yields ``{name: batch}``; a tuple or list of one tensor becomes that tensor.

    Raises:
        DataError: There are no loaders, or one of them cannot be iterated.
    """

    def __init__(self, dataloaders: Mapping[str, Loader]) -> None:
        if not isinstance(dataloaders, Mapping) or not dataloaders:
            raise DataError(
                "DictDataLoader requires a mapping of names to loaders, e.g. "
                f'DictDataLoader({{"pde": loader}}); got {type(dataloaders).__name__}.'
            )
        for name, loader in dataloaders.items():
            if not hasattr(loader, "__iter__"):
                raise DataError(f"{name!r}: expected a loader, got {type(loader).__name__}.")
        self.dataloaders = dict(dataloaders)
        self._endless: dict[str, Iterator[Any]] = {}

    @property
    def infinite(self) -> bool:
        """Whether every loader is infinite."""
        return all(is_infinite(loader) for loader in self.dataloaders.values())

    def __len__(self) -> int:
        """The number of batches in an epoch, that of the longest finite loader."""
        if self.infinite:
            raise TypeError("an infinite loader has no length")
        return max(
            len(loader)  # type: ignore[arg-type]
            for loader in self.dataloaders.values()
            if not is_infinite(loader)
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._begin_endless()
        names = [name for name in self.dataloaders if name not in self._endless]
        finite = {name: iterate(self.dataloaders[name]) for name in names}
        seeds = _Seeds() if len(finite) > 1 else None
        unfinished = set(names)
        while unfinished or not finite:
            parts = {name: next(iterator, _END) for name, iterator in finite.items()}
            ended = [name for name, part in parts.items() if part is _END]
            unfinished.difference_update(ended)
            if ended and not unfinished:
                return
            for name in ended:
                with seeds.next() if seeds else nullcontext():
                    finite[name] = iterate(self.dataloaders[name])
                    parts[name] = _first(name, finite[name])
            # Last, so that no batch of an infinite loader is lost at the end of an epoch.
            parts |= {name: _first(name, iterator) for name, iterator in self._endless.items()}
            batch = {name: _unwrap(parts[name]) for name in self.dataloaders}
            repeated = [name for name in names if name not in unfinished]
            yield PartlyRepeated(batch, repeated) if repeated else batch

    def _begin_endless(self) -> None:
        """Start the infinite loaders once; they continue from epoch to epoch."""
        for name, loader in self.dataloaders.items():
            if is_infinite(loader) and name not in self._endless:
                self._endless[name] = (
                    iter(loader) if _is_stateful(loader) else ReplayedIterator(loader)
                )

    def state_dict(self) -> dict[str, Any]:
        """Return the positions of the loaders that have a ``state_dict`` or never end, by name."""
        return {name: place.state_dict() for name, place in self._places().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration continue from the positions of `state_dict`.

        Raises:
            DataError: The positions belong to other loaders, or a loader ends before its position.
        """
        places = self._places()
        if state.keys() != places.keys():
            raise DataError(
                f"The saved positions belong to the loaders {', '.join(state) or 'none'}; here the "
                f"loaders with a position are {', '.join(places) or 'none'}. Use the loaders that "
                "the positions were saved from."
            )
        self._endless = {}
        for name, place in places.items():
            if isinstance(place, ReplayedIterator):
                self._endless[name] = self._counted(name, state[name])
            else:
                place.load_state_dict(state[name])

    def _counted(self, name: str, place: Mapping[str, Any]) -> ReplayedIterator:
        try:
            return ReplayedIterator(self.dataloaders[name], place)
        except StopIteration:
            raise DataError(
                f"The loader {name!r} has fewer batches than the {place['taken']} that were used "
                "when its position was saved: use the loader that the position was saved from."
            ) from None

    def _places(self) -> dict[str, Any]:
        """Return the loaders and iterators that have a position, by name."""
        return {
            name: loader
            if _is_stateful(loader)
            else self._endless.get(name, ReplayedIterator(loader))
            for name, loader in self.dataloaders.items()
            if _is_stateful(loader) or is_infinite(loader)
        }


class PartlyRepeated(dict[str, Any]):
    """A batch with parts of loaders that have started again in this epoch.

    Args:
        batch: The parts by name.
        repeated: The names of these parts, which an evaluation has counted already.
    """

    def __init__(self, batch: Mapping[str, Any], repeated: Iterable[str]) -> None:
        super().__init__(batch)
        self.repeated = frozenset(repeated)


class NamedLoader:
    """Yield the batches of a loader of several tensors as dicts.

    Args:
        names: A name for each tensor.
        loader: Yields tuples with that many tensors.
    """

    def __init__(self, names: Iterable[str], loader: Loader) -> None:
        self.names = tuple(names)
        self.loader = loader

    def __len__(self) -> int:
        """The batches of the loader."""
        return len(self.loader)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.names, batch, strict=True)) for batch in self.loader)


class _Seeds:
    """Torch seeds for loaders that restart inside an epoch, all known at its start.

    This way, the order of the data does not depend on the random numbers that the model draws.
    """

    def __init__(self) -> None:
        self._seed = int(torch.empty((), dtype=torch.int64).random_())

    @contextmanager
    def next(self) -> Iterator[None]:
        """Seed torch with the next seed inside a ``with`` block."""
        self._seed = (self._seed + 1) % 2**63
        with torch.random.fork_rng(devices=()):
            # Not torch.manual_seed, which seeds GPUs too, where the model draws.
            torch.default_generator.manual_seed(self._seed)
            yield


def _is_stateful(loader: Any) -> bool:
    return hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")


def _first(name: str, iterator: Iterator[Any]) -> Any:
    try:
        return next(iterator)
    except StopIteration:
        raise DataError(
            f"The loader {name!r} is empty, or can be iterated only once. Pass one that starts "
            "again, such as a DataLoader or a list of batches."
        ) from None


def _unwrap(part: Any) -> Any:
    return part[0] if isinstance(part, (tuple, list)) and len(part) == 1 else part
