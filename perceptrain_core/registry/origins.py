"""Which entry each resolved object came from, for provenance."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perceptrain_core.registry.entries import Entry


class Origins:
    """Remember the entry of each resolved object for as long as the object lives."""

    def __init__(self) -> None:
        # By identity: models and losses may define equality, or have no hash.
        self._noted: dict[int, tuple[weakref.ref[object], Entry]] = {}

    def note(self, thing: object, entry: Entry) -> None:
        """Remember the entry of an object; objects without weak references are skipped."""
        key = id(thing)
        try:
            reference = weakref.ref(thing, lambda _: self._noted.pop(key, None))
        except TypeError:
            return
        self._noted[key] = (reference, entry)

    def find(self, thing: object) -> Entry | None:
        """Return the entry that an object came from, or ``None``."""
        reference, entry = self._noted.get(id(thing), (None, None))
        return entry if reference is not None and reference() is thing else None
