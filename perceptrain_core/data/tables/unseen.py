"""Categories in new rows that the data of the training did not have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from perceptrain_core.plurals import counted
from perceptrain_core.user_warnings import warn_user

_LISTED = 10


class UnseenCategories:
    """Counts the rows of each category that the training did not have."""

    def __init__(self) -> None:
        self._rows: Counter[tuple[str, str]] = Counter()

    def add(self, column: str, texts: Iterable[str]) -> None:
        """Count the unseen texts of some rows of a column."""
        self._rows.update((column, text) for text in texts)

    def warn(self) -> None:
        """Warn once of all categories that were counted, if there are any."""
        if not self._rows:
            return
        parts = [
            f"column {column!r}: {text!r} in {counted(rows, 'row')}"
            for (column, text), rows in self._rows.most_common(_LISTED)
        ]
        more = len(self._rows) - len(parts)
        more_text = f"; and {more} more" if more else ""
        warn_user(
            f"The training did not have these categories: {'; '.join(parts)}{more_text}. All "
            'inputs of the column are 0 in such rows. unseen = "refuse" in [data] of the run file '
            "makes them an error."
        )
