"""The page about errors quotes what is printed: its sessions run, and its texts are in the code."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from perceptrain_core.cli.main import app

from .test_messages import VALUE, formatted_texts

PAGE = Path(__file__).parent.parent / "docs/errors.md"
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_FILE = """\
[model]
name = "ffnn"
hidden = [4]

[data]
file = "data.csv"
labels = "y"

[train]
max_iter = 1
"""


def blocks(language: str) -> list[str]:
    found = BLOCK.finditer(PAGE.read_text(encoding="utf-8"))
    return [block["text"] for block in found if block["language"] == language]


def steps(block: str, prompt: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a session, and what it prints; line breaks do not matter."""
    for step in re.split(rf"^{re.escape(prompt)} ", block, flags=re.MULTILINE)[1:]:
        first, *others = step.splitlines()
        more = [line[4:] for line in others if line.startswith("... ")]
        output = [line for line in others if not line.startswith("... ")]
        yield "\n".join([first, *more]), " ".join(" ".join(output).split())


def printed(command: str, names: dict[str, Any]) -> str:
    """Execute a statement; return its warnings, its error and the notes of that in lines."""
    lines: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            exec(command, names)
        except Exception as error:
            lines = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]
    lines = [f"{each.category.__name__}: {each.message}" for each in caught] + lines
    return "\n".join(" ".join(line.split()) for line in lines)


def quoted(output: str) -> re.Pattern[str]:
    """Return what fits a quotation, in which "..." stands for anything, as in doctest."""
    return re.compile(".*".join(map(re.escape, output.split("..."))))


def test_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    for block in blocks("pycon"):
        for command, output in steps(block, ">>>"):
            shown = " ".join(printed(command, names).split())
            assert quoted(output).fullmatch(shown), f"{command}\n{shown}"


def test_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(RUN_FILE, encoding="utf-8")
    rows = "".join(f"{n},{n % 5},{n % 7}\n" for n in range(20))
    Path("data.csv").write_text(f"a,b,y\n{rows}", encoding="utf-8")
    for block in blocks("console"):
        for command, output in steps(block, "$"):
            with pytest.raises(SystemExit):
                app(shlex.split(command)[1:])
            shown = capsys.readouterr().err.replace(f"{tmp_path}/", "")
            assert " ".join(shown.split()) == output, command


def test_texts_are_in_the_code() -> None:
    """What needs several processes, a compiler or a missing package is not run here."""
    known = [pattern(each) for each in formatted_texts()]
    texts = [" ".join(text.split()) for text in blocks("text")]
    assert texts
    for text in texts:
        assert any(each.search(text) for each in known), text


def pattern(template: str) -> re.Pattern[str]:
    parts = " ".join(template.split()).split(VALUE)
    return re.compile(r": " + ".*".join(map(re.escape, parts)) + "$")
