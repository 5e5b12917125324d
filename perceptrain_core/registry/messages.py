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
    close = [wish for wish in wishes if wish in known]
    for wish in wishes:
        longer = [own for own in known if wish and _has_part(own, wish)]
        close += longer or difflib.get_close_matches(wish, known, n=3)
        if close:
            return f" Did you mean {' or '.join(map(repr, list(dict.fromkeys(close))[:3]))}?"
    return ""


def _has_part(name: str, wish: str) -> bool:
    return f"_{wish}_".replace("-", "_") in f"_{name}_".replace("-", "_")


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
