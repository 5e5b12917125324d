"""The kinds of things that have names: one row each, and everything else follows from it."""

from __future__ import annotations

from typing import NamedTuple

from perceptrain_core.errors import UnknownNameError
from perceptrain_core.registry.messages import did_you_mean


class Kind(NamedTuple):
    """One kind of thing that plugins offer.

    Attributes:
        singular: Its name in a sentence, ``"loss"``.
        plural: Its name as an attribute of the registry, ``"losses"``.
        leading: The arguments that the framework passes first, before any option.
        default: The name that ``None`` stands for, if there is one.
    """

    singular: str
    plural: str
    leading: tuple[str, ...] = ()
    default: str | None = None

    @property
    def hook(self) -> str:
        """The hook through which plugins offer it."""
        return f"perceptrain_{self.plural}"


KINDS = (
    Kind("loss", "losses", leading=("batch", "model"), default="mse"),
    Kind("model", "models"),
    Kind("weighting", "weightings"),
    Kind("optimizer", "optimizers", leading=("params",)),
    Kind("callback", "callbacks"),
    Kind("tracker", "trackers"),
    Kind("dataset", "datasets"),
)

#: The kind of each hook.
HOOKS = {kind.hook: kind for kind in KINDS}

_BY_NAME = {name: kind for kind in KINDS for name in (kind.singular, kind.plural)}


def kind_of(name: str) -> Kind:
    """Find a kind by its name, singular or plural.

    Args:
        name: For example ``"loss"`` or ``"losses"``.

    Returns:
        The kind.

    Raises:
        UnknownNameError: There is no such kind.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        known = ", ".join(kind.singular for kind in KINDS)
        raise UnknownNameError(
            f"There is no kind {name!r}.{did_you_mean(name, _BY_NAME)} The kinds are: {known}."
        ) from None
