"""The training data as the loop consumes them, and the position of a run in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from perceptrain_core.data import DictDataLoader, Epochs
from perceptrain_core.data.position.fingerprint import fingerprint
from perceptrain_core.data.position.generators import (
    epoch_listeners,
    loader_random_state,
    set_loader_random_state,
)
from perceptrain_core.data.position.stateful import is_stateful_loader
from perceptrain_core.data.position.workers import start_workers, workers_started
from perceptrain_core.data.support.loader_length import is_infinite
from perceptrain_core.engine.kept_share import KeptShare
from perceptrain_core.errors import CheckpointError
from perceptrain_core.random_state import get_random_state, set_random_state
from perceptrain_core.training.resume.shared_pass import SharedPass, moves_freely, pass_of


@dataclass(frozen=True)
class ContinuedEpoch:
    """An epoch that other processes began.

    Attributes:
        before: The batches of this process, or of one that it replaces, before it was continued.
        rest: The loader of the rest.
        left: The number of batches of the rest, if known.
    """

    before: int
    rest: Any
    left: int | None


class DataPosition:
    """Yield the batches of an epoch, one step at a time, from wherever the run stands.

    The order of the data is not saved but reproduced: an anchor holds the state of every random
    generator at the start of a pass over the data, and on resuming, the batches consumed since
    then are skipped. An infinite loader that has ``state_dict``, or a ``StatefulDataLoader`` of
    torchdata, is restored directly. If the number of processes has changed, the rest of the epoch
    is shared anew, see `SharedPass`.

    Args:
        epochs: The data.
        per_step: Batches per step.
        anchored: Whether `state_dict` may be called inside an epoch.

    Attributes:
        epochs: The data.
        batch: Batches consumed in the current epoch; 0 between two epochs.
    """

    def __init__(self, epochs: Epochs, per_step: int = 1, anchored: bool = False) -> None:
        self.epochs = epochs
        self.batch = 0
        self._per_step = per_step
        self._keeps_place = _keeps_place(epochs.loader)
        # Nothing can be saved inside an epoch of one batch.
        self._anchored = anchored and (epochs.endless or epochs.count() != 1)
        self._anchor: dict[str, Any] | None = None
        self._consumed = 0  # since the anchor
        self._rest: Iterator[Any] | None = None
        self._continued: ContinuedEpoch | None = None
        self._epoch_listeners = epoch_listeners(epochs.loader)

    @property
    def batches_of_epoch(self) -> int | None:
        """The number of batches in the current epoch, or ``None`` if it is unknown."""
        if self._continued is None:
            return self.epochs.count()
        left = self._continued.left
        return None if left is None else self.epochs.limited(self._continued.before + left)

    def begin_epoch(self, epoch: int) -> None:
        """Call ``set_epoch`` of samplers and data sets; the first epoch is 1 here."""
        for set_epoch in self._epoch_listeners:
            set_epoch(epoch - 1)

    def steps(self) -> Iterator[list[Any]]:
        """Yield the batches of each remaining step of the current epoch."""
        batches = self._next_epoch() if self._rest is None else self._rest
        self._rest = None
        if self._per_step == 1:  # no list to fill at each step
            for batch in batches:
                self.batch += 1
                self._consumed += 1
                yield [batch]
            return
        while step := list(islice(batches, self._per_step)):
            self.batch += len(step)
            self._consumed += len(step)
            yield step

    def _next_epoch(self) -> Iterator[Any]:
        if self._anchored and not (self.epochs.endless and self._anchor):
            self._anchor, self._consumed = self.generators_state(), 0
        return self.epochs.batches()

    def end_epoch(self) -> None:
        """End the current epoch, complete or not."""
        self.batch = 0
        self._continued = None

    def state_dict(self) -> dict[str, Any]:
        """Return the position, as tensors and plain values.

        Raises:
            CheckpointError: Inside an epoch, if the position was created without ``anchored``.
        """
        anchor, consumed = self._anchor, self._consumed
        if self._keeps_place and (self.epochs.endless or not self.batch):
            anchor, consumed = self.generators_state(), 0
        elif not self.batch and not self.epochs.endless:
            anchor, consumed = None, 0
        elif not self._anchored and self.epochs.count() != 1:
            raise CheckpointError(
                "The position inside this epoch was not recorded, because no callback saves the "
                'run: add SaveCheckpoint(on="train_batch_end"), or save at the end of an epoch.'
            )
        return {
            "batch": self.batch,
            "consumed": consumed,
            "anchor": anchor,
            "generators": loader_random_state(self.epochs.loader),
            "workers": workers_started(self.epochs.loader),
            "data": self._fingerprint(),
            "pass": self._pass(),
            "continued": self._continued is not None,
            "place": self._place(),
        }

    def _place(self) -> Any:
        """Return the position of a loader that can restore it inside an epoch."""
        stateful: Any = _stateful_loader(self.epochs.loader)
        inside = stateful is not None and self.batch and not self.epochs.endless
        return stateful.state_dict() if inside else None

    def _pass(self) -> dict[str, Any] | None:
        """Describe the current pass, for any number of processes that continue it."""
        if self.epochs.endless or not self.batch:
            return None
        epoch = self._continued or ContinuedEpoch(0, self.epochs.loader, None)
        found = pass_of(epoch.rest, self.batch - epoch.before, self._anchor)
        return None if found is None else found.to_dict()

    def differences(self, saved: Mapping[str, Any], shared: bool = False) -> list[str]:
        """Describe each way in which the data differ from those of a saved position.

        Args:
            saved: From `state_dict`.
            shared: Whether other processes saved it: then the number of batches may differ, and
                their size if the processes share rows.
        """
        there, here = saved["data"], self._fingerprint()
        if shared:
            by_batches = (saved.get("pass") or {}).get("unit") == "batches"
            may_differ = ("batches",) if by_batches else ("batches", "batch_size")
            there, here = (
                {what: n for what, n in each.items() if what.rpartition(".")[2] not in may_differ}
                for each in (there, here)
            )
        return [
            f"{what} {there.get(what)} then, {here.get(what)} now"
            for what in here | there
            if here.get(what) != there.get(what)
        ]

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Restore a position; this uses the global random generators.

        Raises:
            CheckpointError: The data have fewer batches than had been consumed.
        """
        self.batch, self._consumed = saved["batch"], saved["consumed"]
        stateful: Any = _stateful_loader(self.epochs.loader)
        if saved.get("continued"):
            self.continue_pass(saved)
        elif saved.get("place") is not None and stateful is not None:
            self._anchor = saved["anchor"]
            stateful.load_state_dict(saved["place"])
            self._rest = self.epochs.rest(self.epochs.loader, after=self.batch)
        else:
            self._load_anchor(saved)
        start_workers(self.epochs.loader, saved["workers"])
        set_loader_random_state(self.epochs.loader, saved["generators"])

    def _load_anchor(self, saved: Mapping[str, Any]) -> None:
        self._anchor = saved["anchor"]
        if self._anchor is not None:
            self.restore_generators(self._anchor)
        try:
            if self.epochs.endless:
                self.epochs.pass_over(self._consumed)
                self._rest = iter(()) if self.batch else None
            elif self.batch:
                self._rest = self.epochs.batches(after=self.batch)
        except StopIteration:
            raise CheckpointError(
                f"The training data have fewer batches than the {self._consumed} that the run has "
                "consumed: pass the data that it was started with."
            ) from None

    @property
    def batch_size(self) -> int | None:
        """The rows of a batch of this process, if all have as many."""
        return self._fingerprint().get("batch_size")

    def can_be_shared(self, saved: Mapping[str, Any]) -> bool:
        """Whether another number of processes can continue a position inside an epoch."""
        if self.epochs.endless:
            return moves_freely(self.epochs.loader) and bool((saved["anchor"] or {}).get("loader"))
        return bool(saved.get("pass")) and not isinstance(self.epochs.loader, DictDataLoader)

    def continue_pass(self, saved: Mapping[str, Any]) -> None:
        """Continue the pass of a position that other processes saved.

        Args:
            saved: The position that one of them saved, which has a ``pass``.
        """
        self.batch, self._anchor = saved["batch"], saved["pass"]["anchor"]
        shared = SharedPass(**saved["pass"])
        rest = shared.rest_for(self.epochs.loader)
        self._continued = ContinuedEpoch(self.batch, rest, shared.batches_left(rest))
        self._rest = self.epochs.rest(rest, after=self.batch)

    def continue_stream(self, saved: Mapping[str, Any]) -> None:
        """Continue an endless loader from a position that other processes saved.

        Args:
            saved: The position; it is ignored unless any number of processes can continue it.
        """
        if not self.can_be_shared(saved):
            return
        loader: Any = self.epochs.loader
        place = saved["anchor"]["loader"]
        if isinstance(loader, DictDataLoader):
            # A finite loader has a position only in some processes, and it is always empty.
            place = {name: place.get(name, {}) for name in loader.state_dict()}
        loader.load_state_dict(place)
        self.batch = saved["batch"]
        self._rest = iter(()) if self.batch else None

    def _fingerprint(self) -> dict[str, Any]:
        found = fingerprint(self.epochs.loader)
        return found if self.epochs.endless else found | {"batches": self.epochs.count()}

    def generators_state(self) -> dict[str, Any]:
        """Return the states of everything that the order of the data depends on."""
        loader: Any = self.epochs.loader
        return {
            "random": get_random_state(),
            "generators": loader_random_state(loader),
            "workers": workers_started(loader),
            "loader": loader.state_dict() if self._keeps_place else None,
        }

    def restore_generators(self, anchor: Mapping[str, Any]) -> None:
        """Restore the states from `generators_state`."""
        loader: Any = self.epochs.loader
        if self._keeps_place and anchor["loader"] is not None:
            loader.load_state_dict(anchor["loader"])
        start_workers(loader, anchor["workers"])
        # Last, because both may have drawn numbers.
        set_loader_random_state(loader, anchor["generators"])
        set_random_state(anchor["random"])


def _stateful_loader(loader: Any) -> Any:
    """Return the loader that can restore its position inside an epoch, ``None`` if there is none.

    In several processes it is inside the loader of a share that is kept.
    """
    inner = loader.loader if isinstance(loader, KeptShare) else loader
    return inner if is_stateful_loader(inner) else None


def _keeps_place(loader: Any) -> bool:
    """Whether a loader, or one inside, can save and restore its own position.

    An infinite loader does so with ``state_dict``; a finite one whose state outlives an epoch also
    has a true attribute ``state_outlives_epochs``.
    """
    if isinstance(loader, DictDataLoader):
        return any(is_infinite(part) or _keeps_place(part) for part in loader.dataloaders.values())
    stateful = hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")
    return stateful and (is_infinite(loader) or getattr(loader, "state_outlives_epochs", False))
