"""Several validation sets with names."""

from __future__ import annotations

import re
from typing import Any

from perceptrain_core.errors import DataError

_NAME = re.compile(r"[A-Za-z]\w*")


class ValidationSets:
    """Several validation sets, each with metrics of its own: ``val_NAME_loss`` and so on.

    Pass it wherever validation data are expected. ``val_loss`` and the other metrics without a name
    are averages over all the sets together, as if they were one. A dict would be something else:
    data whose batches are dicts.

    Args:
        sets: The data of each set, by name; each is anything that ``fit`` accepts.

    Attributes:
        sets: The same, as a dict.

    Raises:
        DataError: No set was passed, a set is ``None``, or a name is not letters, digits and
            underscores after a letter.
    """

    def __init__(self, **sets: Any) -> None:
        if not sets:
            raise DataError(
                "ValidationSets needs at least one set: ValidationSets(clean=..., noisy=...)."
            )
        for name, data in sets.items():
            if not _NAME.fullmatch(name):
                raise DataError(
                    f"{name!r} cannot name a validation set, since its metrics are named after it: "
                    "use letters, digits and underscores, and start with a letter."
                )
            if data is None:
                raise DataError(f"The validation set {name!r} is None: pass its data.")
        self.sets = sets
