"""A guard that notices when one of many values is replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from perceptrain_core.capture.place import HAVE_ITEMS, Place


class Guard:
    """Notices when one of many values is replaced by another, at little cost.

    Args:
        places: The places with the values that are expected.
        hooks: Dicts that must be empty.
    """

    def __init__(self, places: Sequence[Place], hooks: list[Mapping[Any, Any]]) -> None:
        by_container: dict[int, list[Place]] = {}
        self._others: list[Place] = []
        for place in places:
            if isinstance(place.container, HAVE_ITEMS):
                by_container.setdefault(id(place.container), []).append(place)
            else:
                self._others.append(place)
        self._hooks = hooks
        self._items = [
            (itemgetter(*[p.key for p in group]), group[0].container, _found(group))
            for group in by_container.values()
        ]

    def holds(self) -> bool:
        """Whether all values are still there."""
        try:
            for get, container, expected in self._items:
                if get(container) != expected:
                    return False
            for place in self._others:
                if (value := place.read()) is not place.value and value != place.value:
                    return False
        except (LookupError, AttributeError, ValueError, RuntimeError, TypeError):
            return False  # it is gone, or a tensor or an array was replaced
        return not any(self._hooks)


def _found(group: list[Place]) -> Any:
    return group[0].value if len(group) == 1 else tuple(place.value for place in group)
