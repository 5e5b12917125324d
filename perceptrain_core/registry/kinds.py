"""The kinds of things that plugins offer by name, one row each.

The hooks, the attributes of the registry and the ``list-...`` commands follow from this table. To
add a kind, add a row here, the attribute's type in `Registry`, and its typed look-up function and
decorator in `lookup`.
"""

from __future__ import annotations

from typing import NamedTuple

from perceptrain_core.errors import UnknownNameError
from perceptrain_core.suggestions import did_you_mean


class Kind(NamedTuple):
    """One kind of thing that plugins offer by name.

    Attributes:
        singular: Its name in a sentence, ``"loss"``.
        plural: Its name as an attribute of the registry, ``"losses"``.
        offers: What its hook offers and how the target is called, for the hook's docstring.
        leading: The arguments that the framework passes before any option.
        default: The name that ``None`` stands for, if there is one.
    """

    singular: str
    plural: str
    offers: str
    leading: tuple[str, ...] = ()
    default: str | None = None

    @property
    def hook(self) -> str:
        """The name of the hook through which plugins offer it."""
        return f"perceptrain_{self.plural}"


KINDS = (
    Kind(
        "loss",
        "losses",
        "losses: functions ``(batch, model, *, options)``, or classes with such a ``__call__``",
        leading=("batch", "model"),
        default="mse",
    ),
    Kind("model", "models", "models: called with the options, returns an ``nn.Module``"),
    Kind("weighting", "weightings", "weightings of loss terms: called with the options"),
    Kind(
        "optimizer",
        "optimizers",
        "optimizers: called with the parameters, then the options",
        leading=("params",),
    ),
    Kind("callback", "callbacks", "callbacks: called with the options"),
    Kind("tracker", "trackers", "experiment trackers: called with the options"),
    Kind("metric", "metrics", "metrics over a whole data set: called with the options"),
    Kind("dataset", "datasets", "data sets: called with the options"),
)

#: The kind of each hook, by the name of the hook.
HOOKS = {kind.hook: kind for kind in KINDS}

_BY_NAME = {name: kind for kind in KINDS for name in (kind.singular, kind.plural)}


def kind_of(name: str) -> Kind:
    """Return the kind with a name, singular or plural.

    Args:
        name: For example ``"loss"`` or ``"losses"``.

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
