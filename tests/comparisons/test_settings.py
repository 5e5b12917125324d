"""What --loss and --set accept, and what it becomes."""

from __future__ import annotations

import tomllib

import pytest

from perceptrain_core.comparisons.jobs import slug
from perceptrain_core.comparisons.settings import (
    Choices,
    Range,
    inline,
    read_parts,
    read_values,
    split,
    variants,
)
from perceptrain_core.errors import ConfigError


def table(text: str, kind: str = "loss") -> dict[str, object]:
    (setting,) = read_parts(kind, [text]).settings  # type: ignore[arg-type]
    key, _, value = setting.override.partition("=")
    assert key == kind
    return tomllib.loads(f"x = {value}")["x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("huber", {"name": "huber"}),
        ("huber:delta=0.5,reduction=sum", {"name": "huber", "delta": 0.5, "reduction": "sum"}),
        ("quantile:quantiles=[0.1, 0.9]", {"name": "quantile", "quantiles": [0.1, 0.9]}),
        ("./code.py:broken", {"name": "./code.py:broken"}),
        ("./code.py:broken:at=3", {"name": "./code.py:broken", "at": 3}),
        ('huber:reduction="a,b"', {"name": "huber", "reduction": "a,b"}),
    ],
)
def test_a_part_is_a_name_with_options(text: str, expected: dict[str, object]) -> None:
    assert table(text) == expected


@pytest.mark.parametrize(
    "value", [1, -2.5, 1e-05, True, 'a "b"\n', [1, [2.0, "x"]], {"a": {"b c": [False]}}]
)
def test_inline_is_toml(value: object) -> None:
    assert tomllib.loads(f"x = {inline(value)}")["x"] == value


def test_an_unknown_name_is_reported_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"--loss hubber: .*Did you mean 'huber'"):
        read_parts("loss", ["hubber"])


def test_commas_inside_of_brackets_and_quotes_do_not_separate() -> None:
    assert split("[1, 2], [3], 'a,b', {x = [1,2], y = 3}") == [
        "[1, 2]",
        "[3]",
        "'a,b'",
        "{x = [1,2], y = 3}",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("optimizer.lr=1e-4..1e-1", Range("optimizer.lr", 1e-4, 0.1, log=True)),
        ("a.b=0.1..0.9", Range("a.b", 0.1, 0.9, log=False)),
        ("a.b=0.1..0.9:log", Range("a.b", 0.1, 0.9, log=True)),
        ("a.b=1e-3..1:linear", Range("a.b", 1e-3, 1.0, log=False)),
        ("a.b=16..256", Range("a.b", 16, 256, log=False)),
    ],
)
def test_a_range(text: str, expected: Range) -> None:
    found = read_values(text)
    assert found == expected
    assert isinstance(found, Range)
    assert type(found.low) is type(expected.low)


@pytest.mark.parametrize("text", ["lr", "a.=1", "a.b=1,,2", "a.b=3..1", "a.b=0..1:log", "a.b=.5,1"])
def test_what_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--set"):
        read_values(text)


def test_variants_are_all_combinations_once() -> None:
    first, second = read_values("a.x=1,2,1"), read_values("b.y=3,4")
    assert isinstance(first, Choices)
    assert isinstance(second, Choices)
    labels = [" ".join(s.label for s in variant) for variant in variants([first, second])]
    assert labels == ["x=1 y=3", "x=1 y=4", "x=2 y=3", "x=2 y=4"]


def test_folders_have_safe_and_different_names() -> None:
    texts = [
        "huber",
        "huber:delta=1",
        "huber:delta=-1",
        'huber:reduction="a/b"',
        "./code.py:broken",
    ]
    texts += [
        "quantile:quantiles=[0.5]",
        "huber:x=[[1],2]",
        "huber:x=[1,[2]]",
        "huber:x=" + 99 * "1",
    ]
    names = [slug((setting,)) for setting in read_parts("loss", ["mse"]).settings]
    names += [
        slug(tuple(read_parts("loss", [text]).settings))
        for text in texts
        if "99" not in text and len(text) < 80
    ]
    assert len(set(names)) == len(names)
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_.-+") for name in names)
    assert "quantile_quantiles_0.5" in names
