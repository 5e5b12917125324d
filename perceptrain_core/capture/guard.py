"""A guard that notices when one of many values is replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Sized
from operator import itemgetter
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
        by_container: dict[int, list[Place]] = {}
        self._others: list[Place] = []
        for place in places:
            if isinstance(place.container, HAVE_ITEMS):
                by_container.setdefault(id(place.container), []).append(place)
            else:
                self._others.append(place)
        self._values = [place.value for place in places]  # so that no id is used again
        self._items = [
            # With one key, itemgetter returns no tuple.
            (itemgetter(*[p.key for p in group], group[0].key), group[0].container, _ids(group))
            for group in by_container.values()
        ]
        self._states = [p for p in places if p.state is not None and is_quick(p.value)]
        self._whole, self._sizes = whole, [*map(len, whole)]
        self._hooks = hooks

    def holds(self) -> bool:
        """Whether all values are still there, and no others."""
        try:
            for get, container, expected in self._items:
                if tuple(map(id, get(container))) != expected:
                    return False
            for place in self._others:
                if place.read() is not place.value:
                    return False
        except (LookupError, AttributeError, ValueError):  # it is gone
            return False
        for place in self._states:
            if state_of(place.value) != place.state:
                return False
        return [*map(len, self._whole)] == self._sizes and not any(self._hooks)


def _ids(group: list[Place]) -> tuple[int, ...]:
    return *[id(place.value) for place in group], id(group[0].value)
