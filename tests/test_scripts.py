"""Scripts as people write them run as they stand, from the import to the last assertion."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng():
        runpy.run_path(str(script), run_name="__main__")
    assert torch.get_default_dtype() is torch.float32


def test_there_are_scripts() -> None:
    assert SCRIPTS
