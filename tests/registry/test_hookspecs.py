from __future__ import annotations

import inspect
from pathlib import Path

from perceptrain_core.registry import KINDS
from perceptrain_core.registry.hookspecs import HOOKSPECS


def test_there_is_one_hook_for_each_kind_and_no_other():
    hooks = {name for name in vars(HOOKSPECS) if not name.startswith("__")}
    assert hooks == {kind.hook for kind in KINDS}


def test_hooks_take_nothing_and_are_documented():
    for kind in KINDS:
        hook = getattr(HOOKSPECS, kind.hook)
        assert not inspect.signature(hook).parameters
        assert hook.__doc__
        assert tuple(hook()) == ()


def test_every_hook_is_on_the_page_for_authors_and_used_in_a_test():
    root = Path(__file__).parents[2]
    page = (root / "docs" / "authors.md").read_text()
    tests = "".join(path.read_text() for path in (root / "tests").rglob("test_*.py"))
    for kind in KINDS:
        signature = str(inspect.signature(getattr(HOOKSPECS, kind.hook))).replace("'", "")
        assert f"| `{kind.hook}{signature}` |" in page
        assert f"def {kind.hook}()" in tests
