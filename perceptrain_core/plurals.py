"""Numbers with nouns, for messages."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``"1 row"``, ``"2 rows"``.

    Args:
        number: The number.
        noun: The singular.
        plural: The plural; by default the singular with an s.
    """
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"
