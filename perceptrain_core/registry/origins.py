"""Where things came from: the entry that supplied each, noted when it was resolved."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perceptrain_core.registry.entries import Entry


class Origins:
    """Remember the entry of a resolved thing for as long as the thing lives."""

    def __init__(self) -> None:
        # By identity: models and losses may define equality, or have no hash.
        self._noted: dict[int, tuple[weakref.ref[object], Entry]] = {}

    def note(self, thing: object, entry: Entry) -> None:
        """Note that an entry supplied a thing; a tuple or a number cannot be remembered."""
        key = id(thing)
        try:
            reference = weakref.ref(thing, lambda _: self._noted.pop(key, None))
        except TypeError:
            return
        self._noted[key] = (reference, entry)

    def find(self, thing: object) -> Entry | None:
        """Give the entry that supplied a thing, or ``None``."""
        reference, entry = self._noted.get(id(thing), (None, None))
        return entry if reference is not None and reference() is thing else None
