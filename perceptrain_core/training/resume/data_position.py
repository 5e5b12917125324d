"""The training data as the loop takes them, and the place in them where a run stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from perceptrain_core.checkpoints.random_state import get_random_state, set_random_state
from perceptrain_core.data import DictDataLoader, Epochs
from perceptrain_core.data.loaders import is_infinite
from perceptrain_core.data.position.fingerprint import fingerprint
from perceptrain_core.data.position.generators import (
    epoch_listeners,
    loader_random_state,
    set_loader_random_state,
)
from perceptrain_core.data.position.workers import start_workers, workers_started
from perceptrain_core.errors import CheckpointError


class Feed:
    """Give the batches of an epoch, a step's at a time, from wherever the run stands.

    The order of the data is not kept but made again: an anchor has the state of every random
    generator from before the data were gone through, and the batches that had been taken since
    are passed over. An infinite loader that has ``state_dict`` is just put back.

    Args:
        epochs: The data.
        per_step: The batches of a step.
        anchored: Whether somebody may ask for `state_dict` in the midst of an epoch.

    Attributes:
        batch: Batches taken of the present epoch; 0 between two epochs.
    """

    def __init__(self, epochs: Epochs, per_step: int = 1, anchored: bool = False) -> None:
        self.epochs = epochs
        self.batch = 0
        self._per_step = per_step
        self._keeps_place = _keeps_place(epochs.loader)
        # An epoch of one batch has no midst.
        self._anchored = anchored and (epochs.endless or epochs.count() != 1)
        self._anchor: dict[str, Any] | None = None
        self._taken = 0  # since the anchor
        self._rest: Iterator[Any] | None = None
        self._epoch_listeners = epoch_listeners(epochs.loader)

    def begin_epoch(self, epoch: int) -> None:
        """Let samplers and data sets that shuffle by the epoch know it; the first is 1."""
        for told in self._epoch_listeners:
            told(epoch - 1)

    def steps(self) -> Iterator[list[Any]]:
        """Give the batches of each step of the present epoch that is still to come."""
        batches = self._next_epoch() if self._rest is None else self._rest
        self._rest = None
        while step := list(islice(batches, self._per_step)):
            self.batch += len(step)
            self._taken += len(step)
            yield step

    def _next_epoch(self) -> Iterator[Any]:
        if self._anchored and not (self.epochs.endless and self._anchor):
            self._anchor, self._taken = self.here(), 0
        return self.epochs.batches()

    def end_epoch(self) -> None:
        """Say that the present epoch is over, complete or not."""
        self.batch = 0

    def state_dict(self) -> dict[str, Any]:
        """Give the place, in values that need no code to load.

        Raises:
            CheckpointError: It was not foreseen that somebody would ask now.
        """
        anchor, taken = self._anchor, self._taken
        if self._keeps_place and (self.epochs.endless or not self.batch):
            anchor, taken = self.here(), 0
        elif not self.batch and not self.epochs.endless:
            anchor, taken = None, 0
        elif not self._anchored and self.epochs.count() != 1:
            raise CheckpointError(
                "The place inside this epoch was not kept, for there was no callback to save it: "
                'add SaveCheckpoint(on="train_batch_end"), or save at the end of an epoch.'
            )
        return {
            "batch": self.batch,
            "taken": taken,
            "anchor": anchor,
            "generators": loader_random_state(self.epochs.loader),
            "workers": workers_started(self.epochs.loader),
            "data": self._outline(),
        }

    def differences(self, saved: Mapping[str, Any]) -> list[str]:
        """Give a line for each thing in which the data are others than those of a saved place."""
        there, here = saved["data"], self._outline()
        return [
            f"{what} {there.get(what)} then, {here.get(what)} now"
            for what in here | there
            if here.get(what) != there.get(what)
        ]

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go to the place again; on the way the global random generators are used.

        Raises:
            CheckpointError: The data have fewer batches than had been taken.
        """
        self.batch, self._taken, self._anchor = saved["batch"], saved["taken"], saved["anchor"]
        if self._anchor is not None:
            self.go_to(self._anchor)
        try:
            if self.epochs.endless:
                self.epochs.pass_over(self._taken)
                self._rest = iter(()) if self.batch else None
            elif self.batch:
                self._rest = self.epochs.batches(after=self.batch)
        except StopIteration:
            raise CheckpointError(
                f"The training data have fewer batches than the {self._taken} that the run had "
                "taken of them: give it the data that it was started with."
            ) from None
        start_workers(self.epochs.loader, saved["workers"])
        set_loader_random_state(self.epochs.loader, saved["generators"])

    def _outline(self) -> dict[str, Any]:
        told = fingerprint(self.epochs.loader)
        return told if self.epochs.endless else told | {"batches": self.epochs.count()}

    def here(self) -> dict[str, Any]:
        """Give the states of all that the order of the data depends on."""
        loader: Any = self.epochs.loader
        return {
            "random": get_random_state(),
            "generators": loader_random_state(loader),
            "workers": workers_started(loader),
            "loader": loader.state_dict() if self._keeps_place else None,
        }

    def go_to(self, anchor: Mapping[str, Any]) -> None:
        """Put everything back to what `here` gave."""
        loader: Any = self.epochs.loader
        if self._keeps_place and anchor["loader"] is not None:
            loader.load_state_dict(anchor["loader"])
        start_workers(loader, anchor["workers"])
        # At last, for both may have drawn again.
        set_loader_random_state(loader, anchor["generators"])
        set_random_state(anchor["random"])


def _keeps_place(loader: Any) -> bool:
    """Whether what goes on over the ends of epochs can say where it is, and be put there."""
    if isinstance(loader, DictDataLoader):
        return any(is_infinite(part) or _keeps_place(part) for part in loader.dataloaders.values())
    stateful = hasattr(loader, "state_dict") and hasattr(loader, "load_state_dict")
    return stateful and is_infinite(loader)
