"""Number the values of masks as classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from perceptrain.errors import ConfigError, DataError

_MOST = 256


def number_classes(
    values: Tensor,
    known: Sequence[int],
    ignored: int | None,
    colours: bool,
    names: Sequence[str],
) -> Tensor:
    """Turn the values of masks into the numbers of classes, in place.

    Args:
        values: Shape ``(N, H, W)``, int64.
        known: The values in the order of the classes.
        ignored: A further value, which stays as it is.
        colours: Whether values are colours, ``0xRRGGBB``.
        names: The names of the masks, for messages.

    Returns:
        The same tensor, with numbers from 0.

    Raises:
        ConfigError: The ignored value is the number of a class.
        DataError: A value is not one of the classes.
    """
    _check_ignored(known, ignored, colours)
    table, order = np.sort(known), np.argsort(known)
    for mask, name in zip(values.numpy(), names, strict=True):
        place = np.searchsorted(table, mask).clip(max=len(table) - 1)
        left = mask == ignored
        unknown = mask[(table[place] != mask) & ~left]
        if unknown.size:
            raise DataError(
                f"{name} has the value {_shown(unknown[0], colours)}, which is not one of the "
                f"classes {_listed(known, colours)}: add it to mask_values, or set ignore_index if "
                "its pixels do not count."
            )
        mask[:] = np.where(left, mask, order[place])
    return values


def occurring_values(masks: Iterable[Tensor], ignored: int | None, colours: bool) -> list[int]:
    """Return the values of masks, sorted, without the ignored one.

    Raises:
        DataError: There are too many, or only one.
    """
    found: set[int] = set()
    for mask in masks:
        found |= set(torch.unique(mask).tolist()) - {ignored}
        if len(found) > _MOST:
            raise DataError(
                f"The masks have more than {_MOST} different values; expected one for each class. "
                "JPEG does not keep values: save masks as PNG."
            )
    if len(found) < 2:
        only = f"the value {_listed(found or [ignored or 0], colours)}"
        raise DataError(
            f"All pixels of all masks have {only}{' or are ignored' if ignored in found else ''}; "
            "expected at least two classes, or the values of all classes as the option mask_values."
        )
    return sorted(found)


def as_values(given: Sequence[int | str]) -> list[int]:
    """Read the option ``mask_values``: numbers, or colours ``"#rrggbb"``.

    Raises:
        ConfigError: A value cannot be read, or occurs twice.
    """
    known = [_value(one) for one in given]
    if len(set(known)) < len(known):
        raise ConfigError(f"mask_values={given!r}: a value occurs twice.")
    return known


def written_values(known: Sequence[int], colours: bool) -> list[int | str]:
    """Return values as the option ``mask_values`` has them."""
    return [_shown(value, colours) if colours else value for value in known]


def _check_ignored(known: Sequence[int], ignored: int | None, colours: bool) -> None:
    if ignored is None:
        return
    if type(ignored) is not int:
        raise ConfigError(f"ignore_index={ignored!r}; expected a value of the masks, such as 255.")
    if ignored in known:
        raise ConfigError(
            f"ignore_index={ignored} is one of the mask_values {_listed(known, colours)}: leave it "
            "out there."
        )
    if 0 <= ignored < len(known):
        raise ConfigError(
            f"ignore_index={ignored} is also the number of a class: the values "
            f"{_listed(known, colours)} are the classes 0 to {len(known) - 1}. Save the pixels to "
            "ignore with another value, such as 255."
        )


def _value(given: int | str) -> int:
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    digits = str(given).removeprefix("#")
    try:
        return int(digits, 16) if len(digits) == 6 else int("")
    except ValueError:
        raise ConfigError(
            f'mask_values has {given!r}; expected a grey value such as 255, or a colour, "#ff0000".'
        ) from None


def _listed(values: Iterable[int], colours: bool) -> str:
    return ", ".join(_shown(value, colours) for value in values)


def _shown(value: int, colours: bool) -> str:
    return f"#{value:06x}" if colours else str(value)
