"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from perceptrain import get_callback, get_dataset, get_loss, get_model
from perceptrain.testing import check_readme

FOLDER = Path(__file__).parent.parent
# A minute of training, of which half is that of L-BFGS.
SHORTER = {
    "max_iter=20, print_every=5": "max_iter=4, print_every=2",
    "max_iter=10, val_every=1": "max_iter=3, val_every=1",
    "max_iter=3000, verbose": "max_iter=800, verbose",
    "max_iter=10, callbacks": "max_iter=1, callbacks",
    "n=50, called_every=5)": "n=50)",
    '"relative_l2", called_every=5)': '"relative_l2")',
    "points=500, steps=10, every=50": "points=100, steps=4, every=50",
}
MADE = {"model": get_model, "loss": get_loss, "data": get_dataset}


def test_the_readme_is_true() -> None:
    readme = check_readme(FOLDER / "README.md", "perceptrain-physics", shorter=SHORTER)
    assert float(readme.printed.split("relative L2 error: ")[1].split()[0]) < 0.02
    assert float(readme.printed.split("validation loss: ")[1].split()[0]) < 1
    assert float(readme.printed.split("k = ")[1]) == pytest.approx(2, abs=0.03)
    (run,) = readme.run_files
    parts = {table: make(run[table]) for table, make in MADE.items()}
    callback = get_callback(run["callbacks"][0])
    loss, _ = parts["loss"](parts["data"].draw(), parts["model"])
    assert loss.isfinite()
    assert callback.problem.relative_l2(parts["model"], 5) > 0


def test_the_example_leaves_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "helmholtz.py"))["main"]
    picture = tmp_path / "helmholtz.png"
    assert 0 < main(steps=20, picture=picture) < 1.5
    assert picture.stat().st_size > 10_000
