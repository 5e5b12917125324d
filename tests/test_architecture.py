"""The architecture page names files that exist, and the layers that import-linter checks."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:[\w-]+/)+(?:[\w-]+\.\w+)?)`", PAGE)))


def test_every_path_exists() -> None:
    assert len(PATHS) > 100
    folders = ROOT / "perceptrain_core", ROOT
    assert [p for p in PATHS if not any((folder / p).exists() for folder in folders)] == []


def test_the_layers_are_those_that_are_checked() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    checked = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    lines = re.findall(r"^ {4}(\S.*)$", PAGE, flags=re.MULTILINE)  # the only indented block
    shown = [re.split(r"\s{2,}", line)[0] for line in lines]
    assert shown == checked
