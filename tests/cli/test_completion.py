"""Completion as the shells ask for it, in a process of its own."""

from __future__ import annotations

import pytest

CODE = """
import sys
from perceptrain_core.cli.main import app
try:
    app(prog_name="perceptrain")
finally:
    assert "torch" not in sys.modules
"""


@pytest.mark.parametrize(
    ("shell", "words", "expected"),
    [
        ("bash", "perceptrain show los", {"loss"}),
        ("fish", "perceptrain show loss hub", {"huber"}),
        ("bash", "perceptrain show optimizers adamw", {"adamw"}),
        ("zsh", "perceptrain show nothing hub", set()),
        ("bash", "perceptrain checkp", {"checkpoint"}),
        ("fish", "perceptrain checkpoint con", {"convert"}),
        ("zsh", "perceptrain checkpoint convert --w", {"--weights"}),
        ("zsh", "perceptrain train run.toml --set train.max_it", {"train.max_iter="}),
        ("fish", "perceptrain train run.toml --set data.strat", {"data.stratify="}),
    ],
)
def test_kinds_and_names_are_completed_without_torch(site, monkeypatch, shell, words, expected):
    monkeypatch.setenv("_PERCEPTRAIN_COMPLETE", f"complete_{shell}")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", words)
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    found = site.python(CODE)
    assert all(name in found for name in expected)
    assert expected or found.strip() in ("", "_files")  # zsh then offers files
