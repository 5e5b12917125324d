"""What a comparison varies: names of parts, values of keys, and ranges to search."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from perceptrain_core.errors import ConfigError, PerceptrainError
from perceptrain_core.registry import registry
from perceptrain_core.runs.read import parse_value

#: A name, and after a colon its options; the colon of a reference has no ``=`` behind it.
_NAMED = re.compile(r"(?P<name>.+?)(?::(?P<options>\w+\s*=.*))?", re.DOTALL)
_NUMBER = r"[+-]?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?"
_RANGE = re.compile(rf"\s*({_NUMBER})\.\.({_NUMBER})(?::(log|linear))?\s*")
_BRACKETS = {"[": 1, "{": 1, "]": -1, "}": -1}


@dataclass(frozen=True)
class Setting:
    """One value of one thing that is varied.

    Attributes:
        key: The key in the run file, ``"loss"`` or ``"optimizer.lr"``.
        text: The value as the user wrote it.
        override: What ``perceptrain train --set`` sets; empty to leave the file as it is.
    """

    key: str
    text: str
    override: str

    @property
    def label(self) -> str:
        """``huber`` for a part, ``lr=0.01`` for a value."""
        table, _, key = self.key.rpartition(".")
        return f"{key}={self.text}" if table else self.text


@dataclass(frozen=True)
class Choices:
    """Several values of one key."""

    key: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True)
class Range:
    """A range of numbers of one key, both bounds included.

    Attributes:
        key: The key in the run file.
        low: The smallest value; an ``int`` if only integers are searched.
        high: The largest value.
        log: Whether the logarithm is searched evenly.
    """

    key: str
    low: float
    high: float
    log: bool

    def setting(self, value: float) -> Setting:
        """Return a value of the range; a float has four significant digits."""
        if not isinstance(self.low, int):
            value = min(max(float(f"{value:.4g}"), self.low), self.high)
        return Setting(self.key, str(value), f"{self.key}={value}")


#: The settings of one variant.
Variant = tuple[Setting, ...]


def read_parts(
    kind: Literal["loss", "weighting", "optimizer", "model"], texts: Sequence[str]
) -> Choices:
    """Read ``NAME`` or ``NAME:key=value,key=value``, as ``--loss`` accepts it.

    Raises:
        ConfigError: A name is unknown, or an option is not valid.
    """
    return Choices(kind, tuple(_part(kind, text) for text in texts))


def read_values(text: str) -> Choices | Range:
    """Read ``TABLE.KEY=VALUE,VALUE`` or ``TABLE.KEY=LOW..HIGH``, as ``--set`` accepts it.

    Raises:
        ConfigError: It has another form.
    """
    key, separator, values = text.partition("=")
    key = key.strip()
    if not separator or not all(part.strip() for part in key.split(".")):
        raise ConfigError(
            f"--set {text!r}: expected TABLE.KEY=VALUE, several values separated by commas, or a "
            "range, e.g. --set optimizer.lr=0.01,0.001 or --set optimizer.lr=1e-4..1e-1."
        )
    if found := _RANGE.fullmatch(values):
        return _range(key, *found.groups(), text=text)
    several = split(values)
    if not all(several):
        raise ConfigError(f"--set {text!r}: a value is missing between two commas.")
    for value in several:
        parse_value(value, f"{key}={value}")
    return Choices(key, tuple(Setting(key, value, f"{key}={value}") for value in several))


def variants(choices: Sequence[Choices]) -> Iterator[Variant]:
    """Yield every combination, each once."""
    return iter(dict.fromkeys(product(*(choice.settings for choice in choices))))


def split(text: str) -> list[str]:
    """Split a text at the commas that are outside of brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        depth += 0 if quote else _BRACKETS.get(character, 0)
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _part(kind: str, text: str) -> Setting:
    if kind == "weighting" and text == "none":
        return Setting(kind, "none", "")
    found = _NAMED.fullmatch(text.strip())
    if found is None:
        raise ConfigError(f"--{kind} {text!r}: expected NAME or NAME:key=value,key=value.")
    table = {"name": found["name"]}
    try:
        if ":" not in found["name"]:  # a relative reference is looked up with the run file
            registry().entry(kind, found["name"])
        for option in split(found["options"] or ""):
            if option:
                table |= _option(option)
    except PerceptrainError as error:
        raise ConfigError(f"--{kind} {text}: {error}") from error
    return Setting(kind, text.strip(), f"{kind}={inline(table)}")


def _option(text: str) -> dict[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ConfigError(f"{text!r}: expected key=value.")
    return {key.strip(): parse_value(value, text)}


def inline(value: Any) -> str:
    """Write a value of TOML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(inline, value))}]"
    if isinstance(value, str | bool):
        return json.dumps(value)
    return str(value)


def _range(key: str, low: str, high: str, scale: str | None, *, text: str) -> Range:
    first, last = (tomllib.loads(f"x = {bound}")["x"] for bound in (low, high))
    if not (isinstance(first, int) and isinstance(last, int)):
        first, last = float(first), float(last)
    # A bound that is written with an exponent spans powers of ten.
    log = scale == "log" or (scale is None and "e" in f"{low}{high}".lower())
    if not first < last or (log and first <= 0):
        positive = ", above 0 for a logarithmic range" if log else ""
        raise ConfigError(f"--set {text!r}: expected LOW..HIGH with LOW below HIGH{positive}.")
    return Range(key, first, last, log)
