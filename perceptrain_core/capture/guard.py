"""A guard that notices when one of many values is replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from typing import Any

from perceptrain_core.capture.place import HAVE_ITEMS, Place, is_quick, state_of


class Guard:
    """Notices when one of many values is replaced by another, at little cost.

    Values are compared by identity, as equality may hide a difference. An equal value that is
    another object makes the guard fail, too.

    Args:
        places: The places with the values that are expected.
        whole: The containers that must not get further items.
        hooks: Dicts of hooks, which must be empty.
    """

    def __init__(
        self, places: Sequence[Place], whole: Sequence[Sized], hooks: Sequence[Mapping[Any, Any]]
    ) -> None:
        # A tuple never changes; whether another has taken its place is checked there.
        places = [place for place in places if type(place.container) is not tuple]
        self._items = [
            (place.container, place.key, place.value)
            for place in places
            if isinstance(place.container, HAVE_ITEMS)
        ]
        self._others = [p for p in places if not isinstance(p.container, HAVE_ITEMS)]
        self._states = [p for p in places if p.state is not None and is_quick(p.value)]
        self._whole, self._sizes = whole, [*map(len, whole)]
        self._hooks = hooks

    def holds(self) -> bool:
        """Whether all values are still there, and no others."""
        if any(self._hooks) or [*map(len, self._whole)] != self._sizes:
            return False
        try:
            for container, key, value in self._items:
                if container[key] is not value:
                    return False
            for place in self._others:
                if place.read() is not place.value:
                    return False
        except (LookupError, AttributeError, ValueError):  # it is gone
            return False
        return all(state_of(place.value) == place.state for place in self._states)
