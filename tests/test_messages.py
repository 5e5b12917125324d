"""Every error, warning and note of the project says what is wrong, and what to do."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import perceptrain.errors

ROOT = Path(__file__).parents[1]
SOURCES = ("perceptrain", "perceptrain_core", "plugins/*/perceptrain_*")
#: A value that a message shows.
VALUE = "{}"

#: Habits that a reader stumbles over; see the table in the guide to our English.
BANNED = re.compile(
    r"\b(somebody|nobody|who asked|told of|in the midst|at will|what there is|shall"
    r"|those of then)\b"
)
#: A message that only judges says nothing.
JUDGED = re.compile(r"(Invalid|Bad|Wrong|Illegal|Error)\b")
#: What was expected, what to do, what happens now, or the option that decides.
GUIDES = re.compile(
    r"expect(s|ed)\b|called as|needs? |must |instead|requires? |supports? |accepts? "
    r"|\b(it|them|they|\{\}) (only )?(takes?|has|have|gives?)\b"
    r"|\w ?=|\w\(\{?[^)]|--\w|\.\.\.|: [a-z]+ (it|them|the|a|an|one|another|this|each|all)\b"
    # An imperative, where a clause starts.
    r"|(^|[.:;,?] |\bor |\band |\bto |\bthen |\bnot )"
    r"(pass|use|set|leave|call|choose|create|write|name|save|load|check|correct|convert|rename"
    r"|reduce|return|add|train|delete|number|compute|copy|draw|decrease|update|resume|split|make"
    r"|move|put|give|show|select|install|start|keep|cut|lower|raise|close|wrap|group|turn|end"
    r"|define|evaluate|implement|override|restore|reshape|detach|differentiate|press|try|include|run"
    r"|change|import|pip install|read|remove|see|compare|fill)\b"
    r"|\b(allowed|known are|has only|at most|at least|the columns are|there are|one of)\b",
    re.IGNORECASE,
)

#: The message ends with what another part says: a reason of the system, a list, or advice.
PASSES_ON = re.compile(r"\{\}$|[:;,] \{\}\.$")
#: Messages that need no advice, by how they begin.
NO_ADVICE = (
    # Where it happened: notes beside another message.
    *("This happened ", "This was the ", "In process ", "The batch is {}.", "{} passes {} to"),
    # What is wrong with a file is plain, and so is what to do about it.
    *("the file ", "There is no data file", "{} is not a regular file"),
    # The parts of a file that only Perceptrain writes; it names the file.
    *("column {} has a category twice", "column {} cannot be filled", "labels have both a mean"),
    *("shape has {} dimensions", "{}: {} is not a tensor", "{} holds no {}; it holds"),
    # The sentence is composed of parts that other functions choose, advice among them.
    *("{} {}.", "{}; got", "{}; {} has", "{}.{}: {} {}", "The run file {} cannot be read: it"),
    # Part of "The exported file is wrong: ...", which a user can only report.
    *("the file returns", "for {} rows, its predictions differ"),
    # What happens instead is all right.
    *("{} Trying the one before it", "MLflow cannot change", "{} is not finite: {}. No such"),
    *("{} {} in {} and {} left out",),
    # The limit that it names says what is possible.
    "The observable {} acts on qubit",
)
#: Parts of messages, which others put into a sentence.
FRAGMENTS = ("it ", "its ", "this hook ", "the name ")


@dataclass(frozen=True)
class Message:
    """A message in the source.

    Attributes:
        place: The file and line.
        kind: The class of the error, ``warn_user`` or ``add_note``.
        text: The message, with `VALUE` for each value that it shows.
    """

    place: str
    kind: str
    text: str


def source_files() -> Iterator[Path]:
    for pattern in SOURCES:
        for folder in ROOT.glob(pattern):
            yield from sorted(folder.rglob("*.py"))


@cache
def messages() -> list[Message]:
    """Return every message whose text is where it is raised, issued or added."""
    kinds = {name for name in vars(perceptrain.errors) if name.endswith("Error")}
    kinds |= {"warn_user", "add_note"}
    found = []
    for path in source_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            kind = ast.unparse(node.func).rpartition(".")[2]
            text = text_of(node.args[0])
            if kind in kinds and text is not None:
                found.append(Message(f"{path.relative_to(ROOT)}:{node.lineno}", kind, text))
    return found


@cache
def formatted_texts() -> set[str]:
    """Return every formatted string of the sources, also those of functions that build messages."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in source_files())
    nodes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.JoinedStr))
    return {text for node in nodes if len((text := text_of(node) or "").replace(VALUE, "")) > 25}


def text_of(node: ast.expr) -> str | None:
    """Return the text of an expression; ``None`` if it has none of its own."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or VALUE for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return (text_of(node.left) or VALUE) + (text_of(node.right) or VALUE)
    return None


def listed(wrong: list[Message]) -> str:
    return "\n".join(f"{each.place}: {each.kind}: {each.text}" for each in wrong)


@pytest.mark.slow
def test_there_are_hundreds() -> None:
    assert len(messages()) > 600


def test_a_message_is_a_full_sentence() -> None:
    ends = (".", "?", ":", VALUE)
    whole = [each for each in messages() if not each.text.startswith(FRAGMENTS)]
    wrong = [each for each in whole if not each.text.rstrip().endswith(ends)]
    assert not wrong, listed(wrong)


def test_the_english_is_plain() -> None:
    wrong = [e for e in messages() if BANNED.search(e.text) or JUDGED.match(e.text)]
    assert not wrong, listed(wrong)


@pytest.mark.parametrize(
    "text",
    [
        "The end of the file came.",
        "Something broke in the name.",
        "Model() failed.",
        "The number of rows differs.",
        "{} is not a known name.",
    ],
)
def test_a_message_without_advice_is_found(text: str) -> None:
    assert not GUIDES.search(text)


def test_a_message_says_what_to_do() -> None:
    silent = [e for e in messages() if not (GUIDES.search(e.text) or PASSES_ON.search(e.text))]
    wrong = [each for each in silent if not each.text.startswith(NO_ADVICE + FRAGMENTS)]
    assert not wrong, listed(wrong)


def test_an_error_about_a_value_shows_it() -> None:
    shown = re.compile(rf"{re.escape(VALUE)}|\b(None|no|not|empty)\b")
    wrong = [e for e in messages() if "xpected" in e.text and not shown.search(e.text)]
    assert not wrong, listed(wrong)


def test_warnings_point_at_the_line_of_the_user() -> None:
    """They go through warn_user, which finds it."""
    own = ROOT / "perceptrain_core/user_warnings.py"
    files = [path for path in source_files() if path != own]
    wrong = [p for p in files if re.search(r"warnings\.warn\(", p.read_text(encoding="utf-8"))]
    assert not wrong
