"""Notice passes over data in which nothing counts: all labels ignored, no event, weights of 0."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite

from perceptrain_core.errors import DataError
from perceptrain_core.user_warnings import warn_user

_COUNTING = (
    "labels that are not ignored or masked, events that are not all censored, sample weights above "
    "0"
)


class CountedEpochs:
    """Check that something counts in the loss of the training.

    Args:
        history: The epochs so far, of a run that is resumed.
        endless: Whether an epoch is a part of data without an end, of which another part may count.
        warns: Whether this process issues warnings.
    """

    def __init__(
        self, history: Iterable[Mapping[str, float]], endless: bool, warns: bool = True
    ) -> None:
        self._ever = endless or any(isfinite(row["train_loss"]) for row in history)
        self._warns = warns

    def look(self, nothing_counted: bool, epoch: int) -> None:
        """Check an epoch.

        Args:
            nothing_counted: Whether its loss is a mean over nothing, in all processes together.
            epoch: Its number.

        Raises:
            DataError: It is, and so were those before.

        Warns:
            UserWarning: It is, for the first time.
        """
        if not nothing_counted:
            self._ever = True
            return
        found = f"In epoch {epoch}, nothing counted in the loss of any training batch"
        if not self._ever:
            raise DataError(
                f"{found}, so nothing was learned; expected {_COUNTING}. Check the labels and the "
                "weights of the training data, and options such as ignore_index."
            )
        if self._warns:
            warn_user(
                f"{found}, so train_loss is NaN; expected {_COUNTING}. Check the data of this "
                "epoch; a loss of pairs or triplets may have nothing left to learn."
            )
            self._warns = False


def warn_of_uncounted_pass(what: str, loss: str) -> None:
    """Warn that nothing counted in a validation or a test.

    Args:
        what: The validation or test.
        loss: The name of its loss in the history.
    """
    warn_user(
        f"{what} has no loss, and {loss} is NaN: nothing counted in the loss of any batch; "
        f"expected {_COUNTING}. Check the labels and the weights of these data, or add rows."
    )
