"""Completion as the shells ask for it, in one process without torch."""

from __future__ import annotations

import json

import pytest

CODE = """
import contextlib, io, json, os, sys
from perceptrain_core.cli.main import app
found = []
for shell, words in json.loads(sys.argv.pop()):
    count = str(len(words.split()) - 1)
    os.environ |= {"_PERCEPTRAIN_COMPLETE": f"complete_{shell}", "COMP_CWORD": count}
    os.environ |= dict.fromkeys(("_TYPER_COMPLETE_ARGS", "COMP_WORDS"), words)
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        app(prog_name="perceptrain")
    found.append(printed.getvalue())
assert "torch" not in sys.modules
print(json.dumps(found))
"""


CASES = [
    ("bash", "perceptrain show los", {"loss"}),
    ("fish", "perceptrain show loss hub", {"huber"}),
    ("bash", "perceptrain show optimizers adamw", {"adamw"}),
    ("zsh", "perceptrain show nothing hub", set()),
    ("bash", "perceptrain checkp", {"checkpoint"}),
    ("fish", "perceptrain checkpoint con", {"convert"}),
    ("zsh", "perceptrain checkpoint convert --w", {"--weights"}),
    ("zsh", "perceptrain train run.toml --set train.max_it", {"train.max_iter="}),
    ("fish", "perceptrain train run.toml --set data.strat", {"data.stratify="}),
]


@pytest.mark.slow
def test_kinds_and_names_are_completed_without_torch(site, monkeypatch):
    monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
    asked = json.dumps([case[:2] for case in CASES])
    found = json.loads(site.python(CODE, asked))
    for (shell, words, expected), printed in zip(CASES, found, strict=True):
        assert all(name in printed for name in expected), (shell, words, printed)
        assert expected or printed.strip() in ("", "_files")  # zsh then offers files
