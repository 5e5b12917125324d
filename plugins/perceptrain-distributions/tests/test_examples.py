"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from perceptrain import get_loss
from perceptrain.testing import check_readme

FOLDER = Path(__file__).parent.parent

SHORTER = {"max_iter=150": "max_iter=30"}


def test_the_readme_is_true() -> None:
    readme = check_readme(
        FOLDER / "README.md", "perceptrain-distributions", shared_options=(), shorter=SHORTER
    )
    distance = float(readme.printed.split("energy distance: ")[1].split()[0])
    assert 0 < distance < 0.05
    (run,) = readme.run_files
    assert not get_loss(run["loss"]).balanced


@pytest.mark.slow
def test_the_example_leaves_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "two_moons.py"))["main"]
    picture = tmp_path / "two_moons.png"
    found = main(steps=20, picture=picture)
    assert found.after < found.before / 4
    assert 0 < found.fresh < found.after
    assert picture.stat().st_size > 10_000
