"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import torch

from perceptrain import get_model
from perceptrain.testing import check_readme

FOLDER = Path(__file__).parent.parent

SHORTER = {"max_iter=150": "max_iter=50", "max_iter=200": "max_iter=60"}


def test_the_readme_is_true() -> None:
    readme = check_readme(
        FOLDER / "README.md", "perceptrain-quantum", shared_options=(), shorter=SHORTER
    )
    fitted, solved = re.findall(r"largest error: (\S+)", readme.printed)
    assert float(fitted) < 0.15
    assert float(solved) < 0.4
    assert "('coupling', 'a')" in readme.printed
    (run,) = readme.run_files
    assert get_model(run["model"])(torch.rand(3, 1)).shape == (3, 2)


@pytest.mark.slow
def test_the_example_leaves_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "oscillator.py"))["main"]
    picture = tmp_path / "oscillator.png"
    found = main(epochs=12, picture=picture)
    assert found.fitted < 0.4
    assert 0 < found.solved < 1.5
    assert picture.stat().st_size > 10_000


@pytest.mark.slow
def test_gauss_newton_passes_adam(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "gauss_newton.py"))["main"]
    picture = tmp_path / "gauss_newton.png"
    errors = main(seconds=0.8, picture=picture)
    assert errors["gauss_newton"] < 0.5 * errors["adam"]
    assert picture.stat().st_size > 10_000
