"""Number the values of masks as classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from perceptrain.errors import ConfigError, DataError

_MOST = 256


def number_classes(
    values: Tensor, colours: bool, classes: Sequence[int | str] | None, names: Sequence[str]
) -> Tensor:
    """Turn the values of masks into the numbers of classes, in place.

    Args:
        values: Shape ``(N, H, W)``, int64.
        colours: Whether values are colours, ``0xRRGGBB``.
        classes: The values in the order of the classes, numbers or ``"#rrggbb"``; by default all
            that occur, sorted.
        names: The names of the masks, for messages.

    Returns:
        The same tensor, with numbers from 0.

    Raises:
        ConfigError: ``classes`` cannot be read.
        DataError: A value is not one of the classes, or there are too many or only one.
    """
    known = _occurring(values, colours) if classes is None else [_value(c) for c in classes]
    if len(set(known)) < len(known):
        raise ConfigError(f"classes={classes!r}: a value occurs twice.")
    table, order = np.sort(known), np.argsort(known)
    for mask, name in zip(values.numpy(), names, strict=True):
        place = np.searchsorted(table, mask).clip(max=len(table) - 1)
        unknown = mask[table[place] != mask]
        if unknown.size:
            raise DataError(
                f"{name} has the value {_shown(unknown[0], colours)}, which is not one of the "
                f"classes {_listed(known, colours)}: add it to classes."
            )
        mask[:] = order[place]
    return values


def _occurring(values: Tensor, colours: bool) -> list[int]:
    found: set[int] = set()
    for mask in values:
        found |= set(torch.unique(mask).tolist())
        if len(found) > _MOST:
            raise DataError(
                f"The masks have more than {_MOST} different values; expected one for each class. "
                "JPEG does not keep values: save masks as PNG."
            )
    if len(found) == 1:
        raise DataError(
            f"All pixels of all masks have the value {_shown(min(found), colours)}; expected at "
            "least two classes, or the values of all classes as the option classes."
        )
    return sorted(found)


def _value(given: int | str) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    digits = str(given).removeprefix("#")
    try:
        return int(digits, 16) if len(digits) == 6 else int("")
    except ValueError:
        raise ConfigError(
            f'classes has {given!r}; expected a grey value such as 255, or a colour, "#ff0000".'
        ) from None


def _listed(values: Iterable[int], colours: bool) -> str:
    return ", ".join(_shown(value, colours) for value in values)


def _shown(value: int, colours: bool) -> str:
    return f"#{value:06x}" if colours else str(value)
