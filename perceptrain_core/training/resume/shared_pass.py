"""A pass over the data that any number of processes can continue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from perceptrain_core.data import DictDataLoader
from perceptrain_core.data.dict_loader import NamedLoader
from perceptrain_core.data.position.generators import set_loader_random_state
from perceptrain_core.data.position.workers import workers_started
from perceptrain_core.data.support.loader_length import is_infinite
from perceptrain_core.data.support.private_random import PrivateRandom
from perceptrain_core.data.tensor_loader import TensorLoader
from perceptrain_core.engine.endless_share import EndlessShare
from perceptrain_core.engine.sharding import shard_loader
from perceptrain_core.engine.shares import Share
from perceptrain_core.random_state import kept_random_state, set_random_state

_ALL = 2**62


@dataclass(frozen=True)
class SharedPass:
    """How much of one order of the data has been used, by all processes together.

    The units of the order are rows, or whole batches. They are dealt to the processes in turn, so
    those that have been used are the first.

    Attributes:
        unit: ``"rows"`` or ``"batches"``.
        used: The number of units that have been used.
        seed: The seed of the order; ``None`` if a single process began the pass.
        anchor: The random generators as a single process began the pass with them.
    """

    unit: str
    used: int
    seed: int | None
    anchor: Mapping[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, from which this can be created again."""
        return {**asdict(self), "anchor": self.anchor}

    def rest_for(self, loader: Any) -> Any:
        """Return a loader whose next pass yields the share of this process in what is left.

        Args:
            loader: The loader of this process, as for `pass_of`.
        """
        rest = _share_of(loader)
        share = _innermost(rest)
        random = None if self.anchor is None else _random_at(self.anchor, share.loader)
        share.continue_pass(random, self.seed, self.used)
        return rest

    def batches_left(self, rest: Any) -> int | None:
        """Return the number of batches of a loader from `rest_for`, ``None`` if it is unknown."""
        try:
            return _innermost(rest).length_after(self.used)  # type: ignore[no-any-return]
        except TypeError:
            return None


def pass_of(loader: Any, batches: int, anchor: Mapping[str, Any] | None) -> SharedPass | None:
    """Describe the current pass of a loader, ``None`` if only as many processes can continue it.

    Args:
        loader: The loader of this process: a share, or the whole loader of a single process.
        batches: The batches that this process has used since it began or continued the pass.
        anchor: The random generators as they were at the begin of the pass.
    """
    share = _innermost(_share_of(loader))
    alone = not isinstance(_innermost(loader), Share)
    if share is None or (alone and any(workers_started(loader))):
        return None  # workers that stay draw no number, which the order would depend on
    if alone and anchor is None:  # an epoch of one batch, of which nothing is left
        return SharedPass(share.unit, _ALL, 0, None)
    used = share.start + batches * share.units_per_step
    own = anchor if alone or share.seed is None else None
    return SharedPass(share.unit, used, share.seed, own)


def moves_freely(loader: Any) -> bool:
    """Whether any number of processes can continue from the position of an endless loader."""
    if isinstance(loader, DictDataLoader):
        endless = [part for part in loader.dataloaders.values() if is_infinite(part)]
        return bool(endless) and all(map(moves_freely, endless))
    return isinstance(loader, EndlessShare) or (type(loader) is TensorLoader and loader.infinite)


def _share_of(loader: Any) -> Any:
    """Return a loader of shares: the loader itself, or the only share of a single process."""
    if isinstance(_innermost(loader), Share) or is_infinite(loader):
        return loader
    if isinstance(loader, DictDataLoader):
        return None
    return shard_loader(loader, 0, 1, True, _draws_nothing)


def _innermost(loader: Any) -> Any:
    """Return the share in a loader, ``None`` if it has none."""
    inner = loader.loader if isinstance(loader, NamedLoader) else loader
    return inner if isinstance(inner, Share) and not inner.infinite else None


def _draws_nothing(generator: Any) -> int:
    raise AssertionError("the order of a pass that is continued is known")


def _random_at(anchor: Mapping[str, Any], loader: Any) -> PrivateRandom:
    """Return the random state at the begin of a pass; the loader's own generators get theirs."""
    set_loader_random_state(loader, anchor["generators"])
    with kept_random_state():
        set_random_state(
            {name: state for name, state in anchor["random"].items() if name != "cuda"}
        )
        return PrivateRandom()
