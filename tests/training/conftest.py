from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from perceptrain_core.capture import program
from perceptrain_core.capture.captures import Captures
from perceptrain_core.training.steppers import capture_choice

Made = list[Captures]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, for runs write where they are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    """The captures of the test; their graphs run as they are: compiling takes seconds."""
    found: Made = []

    class Recorded(Captures):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            found.append(self)

    monkeypatch.setattr(capture_choice, "Captures", Recorded)
    monkeypatch.setattr(program, "_compiled", lambda graph, inputs: graph)
    return found
