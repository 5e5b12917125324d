"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch
from torch import nn

from perceptrain import get_loss
from perceptrain.testing import check_readme

FOLDER = Path(__file__).parent.parent


def test_the_readme_is_true() -> None:
    readme = check_readme(FOLDER / "README.md", "perceptrain-segmentation")
    assert float(readme.printed.split("Dice score: ")[1].split()[0]) > 0.8
    batch = torch.rand(2, 1, 8, 8), torch.randint(0, 3, (2, 8, 8))
    for run in readme.run_files:
        loss, _ = get_loss(run["loss"])(batch, nn.Conv2d(1, 3, 1))
        assert loss.isfinite()


@pytest.mark.slow
def test_the_example_leaves_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "shapes.py"))["main"]
    picture = tmp_path / "shapes.png"
    before, after = main(epochs=3, images=96, picture=picture)
    assert after > before + 0.15
    assert picture.stat().st_size > 10_000


@pytest.mark.slow
def test_the_folder_of_images_is_learned(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "folder.py"))["main"]
    assert main(tmp_path / "shapes", number=48, epochs=2) > 0.1
    assert len(list((tmp_path / "shapes" / "new" / "predicted").glob("*.png"))) == 8
