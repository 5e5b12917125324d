"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest
import torch
from torch import nn

from perceptrain import get_loss, registry

FOLDER = Path(__file__).parent.parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_the_readme_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec("\n".join(blocks("python")), {"__name__": "readme"})
    score = float(capsys.readouterr().out.split("Dice score: ")[1].split()[0])
    assert score > 0.8


def test_the_run_file_of_the_readme_fits() -> None:
    batch = torch.rand(2, 1, 8, 8), torch.randint(0, 3, (2, 8, 8))
    for run in map(tomllib.loads, blocks("toml")):
        loss, _ = get_loss(run["loss"])(batch, nn.Conv2d(1, 3, 1))
        assert loss.isfinite()


def test_the_readme_has_all_names() -> None:
    (plugin,) = (p for p in registry().plugins if p.distribution == "perceptrain-segmentation")
    offered = {
        (entry.name, entry.target.rpartition(":")[2])
        for entries in plugin.provides.values()
        for entry in entries
    }
    assert set(re.findall(r"^\| loss \| `(\w+)` \| `(\w+)`", README, re.M)) == offered


def test_the_example_leaves_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "shapes.py"))["main"]
    picture = tmp_path / "shapes.png"
    before, after = main(epochs=3, images=96, picture=picture)
    assert after > before + 0.15
    assert picture.stat().st_size > 10_000
