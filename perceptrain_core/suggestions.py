"""Which of the known names a wrong one may stand for."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

_NEAR = 0.15  # of the similarity, which is 1 for equal names


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest known names that are similar to ``name``.

    Args:
        name: What the user wrote.
        known: The valid names.

    Returns:
        A sentence with a leading space, ready to be appended; empty if no name is close.
    """
    question = nearest(name, known)
    return f" D{question[1:]}" if question else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the question of `did_you_mean` for the middle of a sentence: ``did you mean 'x'?``."""
    known = list(known)
    # Let HuberLoss and huber-loss suggest huber.
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower().replace("-", "_")
    spellings = dict.fromkeys((name, snake, snake.removesuffix("_loss")))
    close = [spelling for spelling in spellings if spelling in known]
    for spelling in spellings:
        longer = [each for each in known if spelling and _has_part(each, spelling)]
        close += longer or _similar(spelling, known) or _longest_parts(spelling, known)
        close = close or [each for each in known if len(spelling) > 2 and each.startswith(spelling)]
        close = close or _similar_parts(spelling, known)
        if close:
            return f"did you mean {' or '.join(map(repr, list(dict.fromkeys(close))[:3]))}?"
    return ""


def _has_part(name: str, part: str) -> bool:
    return f"_{part}_".replace("-", "_") in f"_{name}_".replace("-", "_")


def _similar(name: str, known: Sequence[str]) -> list[str]:
    """Return names that are similar to a name, without those that are clearly further off."""
    found = difflib.get_close_matches(name, known, n=3)
    ratios = [difflib.SequenceMatcher(None, each, name).ratio() for each in found]
    return [each for each, ratio in zip(found, ratios, strict=True) if ratio > ratios[0] - _NEAR]


def _similar_parts(name: str, known: Sequence[str]) -> list[str]:
    """Return the names with a word that is nearly a name: class_focal for focl."""
    words = {word for each in known for word in re.split("[_-]", each) if len(word) > 3}
    near = difflib.get_close_matches(name, sorted(words), n=1, cutoff=0.8)
    return [each for each in known if near and _has_part(each, near[0])]


def _longest_parts(name: str, known: Sequence[str]) -> list[str]:
    """Return the longest names that are a part of a name, as f1 is of f1_score."""
    parts = [each for each in known if each and _has_part(name, each)]
    return [each for each in parts if len(each) == max(map(len, parts))]
