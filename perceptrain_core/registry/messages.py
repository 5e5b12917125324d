"""Building blocks of error messages: suggestions, lists of names, one-line reasons."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from itertools import islice

_LONGEST = 300
_SHOWN = 40


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest known names that are similar to ``name``.

    Args:
        name: What the user wrote.
        known: The valid names.

    Returns:
        A sentence with a leading space, ready to be appended; empty if no name is close.
    """
    known = list(known)
    # HuberLoss, huber-loss and huber mean the same.
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
    """Join names with commas; a long list is cut, and the rest counted."""
    if not names:
        return "none"
    more = len(names) - _SHOWN
    return ", ".join(islice(names, _SHOWN)) + (f" and {more} more" if more > 0 else "")


def not_installed(distributions: Sequence[str], installed: Collection[str]) -> str:
    """Say that no plugin with one of these names is installed, and which plugins are."""
    return (
        f"no plugin {' or '.join(map(repr, distributions))} is installed."
        f"{did_you_mean(distributions[0], installed)} "
        f"Installed plugins: {listed(sorted(set(installed)))}."
    )


def sentence(text: str) -> str:
    """Start a text with a capital letter."""
    return text[:1].upper() + text[1:]


def one_line(error: BaseException) -> str:
    """Return the type and message of an error as one line."""
    text = " ".join(str(error).split())
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} ..."
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind
