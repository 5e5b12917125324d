"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest

from perceptrain.testing import check_readme
from perceptrain_metric_learning.parts import PARTS

FOLDER = Path(__file__).parent.parent
README = FOLDER / "README.md"

#: Options that the table leaves out, for the text above it explains them.
SHARED = {"num_classes", "embedding_size", "miner", "distance", "reducer", "weight_init_func"}
SHARED |= {"embedding_regularizer", "embedding_reg_weight", "gather"}
SHARED |= {"weight_regularizer", "weight_reg_weight"}


def test_the_readme_is_true() -> None:
    readme = check_readme(README, "perceptrain-metric-learning", shared_options=SHARED)
    before, after = re.findall(r"precision at 1: ([\d.]+)", readme.printed)
    assert float(before) < 0.8
    assert float(after) > 0.95


def train(monkeypatch: pytest.MonkeyPatch, run: str, *changes: str) -> None:
    """Run a file as the command line does."""
    Path("run.toml").write_text(run, encoding="utf-8")
    settings = [word for change in changes for word in ("--set", change)]
    monkeypatch.setattr(sys, "argv", ["perceptrain", "train", "run.toml", *settings])
    with pytest.raises(SystemExit) as done:
        runpy.run_module("perceptrain", run_name="__main__")
    assert not done.value.code


def test_the_run_file_of_the_readme_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    run = README.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
    train(monkeypatch, run, "train.max_iter=3")
    assert "val_accuracy" in capsys.readouterr().out


def test_a_run_file_with_classes_in_a_file_and_a_miner(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [f"{number % 3 + number / 100},{number % 5},{number % 3}" for number in range(60)]
    Path("points.csv").write_text("\n".join(["x,y,kind", *rows]), encoding="utf-8")
    run = """
        [model]
        name = "ffnn"
        layers = [2, 8, 2]
        [loss]
        name = "triplet"
        margin = 0.2
        distance = { name = "lp", normalize_embeddings = false }
        miner = { name = "triplet_margin", type_of_triplets = "semihard" }
        [data]
        file = "points.csv"
        inputs = ["x", "y"]
        labels = ["kind"]
        classes = true
        val_fraction = 0.2
    """
    train(monkeypatch, run, "train.max_iter=2", "train.batch_size=16")
    assert "val_mined_triplets" in capsys.readouterr().out


@pytest.mark.parametrize("kind", PARTS)
def test_the_readme_has_all_parts(kind: str) -> None:
    (names,) = re.findall(
        rf"^\| `(?:\w+_)?{kind}`[^|]*\|([^|]*)\|", README.read_text(encoding="utf-8"), re.M
    )
    assert set(re.findall(r"`(\w+)`", names)) == set(PARTS[kind])


def test_the_example_leaves_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "digits.py"))["main"]
    picture = tmp_path / "digits.png"
    before, after = main(epochs=15, picture=picture)
    assert before < 0.4
    assert after > 0.85
    assert picture.stat().st_size > 10_000
