"""The sizes of a model that follow from the data."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DataSizes:
    """What the data say about the sizes of a model.

    Attributes:
        in_features: The last dimension of the inputs.
        out_features: The size of the outputs that the loss expects: columns, channels or classes.
        cardinalities: For each input column, the number of its categories if the column holds
            codes, and 0 if it holds numbers.
        in_channels: Dimension 1 of the inputs, the channels of images.
    """

    in_features: int
    out_features: int
    cardinalities: tuple[int, ...] = ()
    in_channels: int = 1


def complete_options(target: Any, options: Mapping[str, Any], sizes: DataSizes) -> dict[str, Any]:
    """Return the options of a model, with the sizes that follow from the data.

    A class or function that accepts ``in_features``, ``out_features``, ``in_channels``,
    ``out_channels`` or ``cardinalities`` gets those that the options do not set. A class whose
    sizes have another form defines a static method ``complete_options(options, sizes)``.

    Args:
        target: The class or function of the model.
        options: The options that are set.
        sizes: The sizes that the data need.
    """
    own = getattr(target, "complete_options", None)
    if own is not None:
        return dict(own(options, sizes))
    try:
        accepted = inspect.signature(target).parameters
    except (ValueError, TypeError):  # some targets have no signature
        return dict(options)
    known = {
        "in_features": sizes.in_features,
        "out_features": sizes.out_features,
        "in_channels": sizes.in_channels,
        "out_channels": sizes.out_features,
        "cardinalities": list(sizes.cardinalities),
    }
    return {**{name: size for name, size in known.items() if name in accepted}, **options}
