"""Pieces of messages: what may have been meant, and what went wrong in one line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable
from itertools import islice

_LONGEST = 300
_SHOWN = 40


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest known names that look like the one given.

    Args:
        name: What was written.
        known: What could have been written.

    Returns:
        A sentence with a space before it, ready to be appended; empty if nothing is close.
    """
    known = list(known)
    # HuberLoss, huber-loss and huber are one wish.
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    wishes = dict.fromkeys((name, snake, snake.removesuffix("_loss")))
    for wish in wishes:
        longer = [name for name in known if wish and f"_{wish}_" in f"_{name}_"]
        close = longer[:3] or difflib.get_close_matches(wish, known, n=3)
        if close:
            return f" Did you mean {' or '.join(map(repr, close))}?"
    return ""


def listed(names: Collection[str]) -> str:
    """Join names with commas; many are cut short, and the rest counted."""
    if not names:
        return "none"
    more = len(names) - _SHOWN
    return ", ".join(islice(names, _SHOWN)) + (f" and {more} more" if more > 0 else "")


def one_line(error: BaseException) -> str:
    """What went wrong, as one line of text."""
    text = " ".join(str(error).split())
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} ..."
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind
