from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perceptrain_core.errors import InvalidSpecError
from perceptrain_core.registry import Spec


@given(st.from_regex(r"\A[a-z][a-z0-9_]*\Z", alphabet=st.characters(codec="ascii")))
def test_every_good_name_is_accepted(name):
    assert Spec(name, "math:sqrt").name == name


@given(st.text().filter(lambda name: not re.fullmatch(r"[a-z][a-z0-9_]*", name)))
def test_every_other_name_is_refused(name):
    with pytest.raises(InvalidSpecError, match="cannot be a name"):
        Spec(name, "math:sqrt")


@pytest.mark.parametrize("name", [None, 3, b"dice", "dice\n", "Dice", "dice-ce", "2d", "", "a/b"])
def test_bad_names(name):
    with pytest.raises(InvalidSpecError, match="lower-case letters"):
        Spec(name, "math:sqrt")


@pytest.mark.parametrize("target", ["math:sqrt", "a.b.c:D.e", "pkg_1:_private", len, dict])
def test_good_targets(target):
    assert Spec("x", target).target is target


@pytest.mark.parametrize(
    "target", ["math", "math.sqrt", "a:b:c", ":b", "a:", "a b:c", "./f.py:x", "a..b:c", "1a:b", ""]
)
def test_bad_target_strings(target):
    with pytest.raises(InvalidSpecError, match=r"'x': the target .* 'package\.module:attribute'"):
        Spec("x", target)


def test_a_target_that_cannot_be_called():
    with pytest.raises(InvalidSpecError, match="a class or a function, not int"):
        Spec("x", 3)


def test_a_summary_is_text():
    with pytest.raises(InvalidSpecError, match="summary must be one line of text, not int"):
        Spec("x", "math:sqrt", 3)


def test_specs_cannot_be_changed():
    with pytest.raises(AttributeError):
        Spec("x", "math:sqrt").name = "y"
