"""Numbers with nouns."""

from __future__ import annotations

from perceptrain_core.plurals import counted


def test_one_and_others():
    assert [counted(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [counted(n, "class", "classes") for n in (1, 3)] == ["1 class", "3 classes"]
