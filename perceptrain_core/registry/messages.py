"""Building blocks of error messages: suggestions, lists of names, one-line reasons."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from itertools import islice

_LONGEST = 300
_NEAR = 0.15  # of the similarity, which is 1 for equal names
_PLACE = "_perceptrain_place"
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
    # Let HuberLoss and huber-loss suggest huber.
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    spellings = dict.fromkeys((name, snake, snake.removesuffix("_loss")))
    close = [spelling for spelling in spellings if spelling in known]
    for spelling in spellings:
        longer = [each for each in known if spelling and _has_part(each, spelling)]
        close += longer or _similar(spelling, known) or _longest_parts(spelling, known)
        if close:
            return f" Did you mean {' or '.join(map(repr, list(dict.fromkeys(close))[:3]))}?"
    return ""


def _has_part(name: str, part: str) -> bool:
    return f"_{part}_".replace("-", "_") in f"_{name}_".replace("-", "_")


def _similar(name: str, known: Sequence[str]) -> list[str]:
    """Return names that are similar to a name, without those that are clearly further off."""
    found = difflib.get_close_matches(name, known, n=3)
    ratios = [difflib.SequenceMatcher(None, each, name).ratio() for each in found]
    return [each for each, ratio in zip(found, ratios, strict=True) if ratio > ratios[0] - _NEAR]


def _longest_parts(name: str, known: Sequence[str]) -> list[str]:
    """Return the longest names that are a part of a name, as f1 is of f1_score."""
    parts = [each for each in known if each and _has_part(name, each)]
    return [each for each in parts if len(each) == max(map(len, parts))]


def listed(names: Collection[str]) -> str:
    """Join names with commas; a long list is cut, as in ``"a, b and 7 more"``."""
    if not names:
        return "none"
    more = len(names) - _SHOWN
    return ", ".join(islice(names, _SHOWN)) + (f" and {more} more" if more > 0 else "")


def not_installed(distributions: Sequence[str], installed: Collection[str]) -> str:
    """Return a message that no plugin has one of these names, with the installed plugins."""
    return (
        f"no plugin {' or '.join(map(repr, distributions))} is installed."
        f"{did_you_mean(distributions[0], installed)} "
        f"Installed plugins: {listed(sorted(set(installed)))}."
    )


def sentence(text: str) -> str:
    """Capitalize the first letter of a text."""
    return text[:1].upper() + text[1:]


def raised_in(error: BaseException) -> str:
    """Return the place in the user's own code that an error came from.

    Returns:
        The innermost place outside this package, Python and the installed packages, as
        ``" (losses.py, line 3)"``; empty if there is none.
    """
    if (kept := getattr(error, _PLACE, None)) is not None:
        return str(kept)
    import sysconfig  # slow, and only needed for an error
    import traceback
    from pathlib import Path

    others = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    others += [sysconfig.get_path("scripts"), str(Path(__file__).parents[1])]
    for place in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(place.filename)
        if path.is_file() and not any(path.is_relative_to(folder) for folder in others):
            return f" ({path.name}, line {place.lineno})"
    return ""


def keep_place(error: BaseException) -> None:
    """Keep the place that `raised_in` finds in an error that goes to another process.

    The traceback stays here.
    """
    vars(error)[_PLACE] = raised_in(error)


def one_line(error: BaseException) -> str:
    """Return the type and message of an error as one line."""
    text = " ".join(str(error).split())
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]} ..."
    kind = type(error).__name__
    return f"{kind}: {text}" if text else kind
