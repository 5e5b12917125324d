"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from perceptrain import WeightedLoss, get_weighting
from perceptrain.testing import check_readme

FOLDER = Path(__file__).parent.parent

SHORTER = {"max_iter=500": "max_iter=300"}


def test_the_readme_is_true() -> None:
    readme = check_readme(FOLDER / "README.md", "perceptrain-multiobjective", shorter=SHORTER)
    printed = re.findall(r"first (\S+), second (\S+) square metres", readme.printed)
    plain, ruled = [tuple(map(float, each)) for each in printed]
    assert max(ruled) < max(plain) / 4  # the worse task is the better for the rule
    names = readme.namespace
    again = names["train"](WeightedLoss(names["two_tasks"], "config"), seed=1)
    assert max(again["train_first"], again["train_second"] / 1e4) < 0.02
    assert "train_weight_second" in again
    (run,) = readme.run_files
    assert get_weighting(run["weighting"]).every == 5


@pytest.mark.slow
def test_the_example_shows_who_finds_the_middle(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "two_minima.py"))["main"]
    picture = tmp_path / "two_minima.png"
    ends = main(steps=60, picture=picture)
    spread = {rule: max(x for x, _ in own) - min(x for x, _ in own) for rule, own in ends.items()}
    assert spread["plain sum"] < 0.1  # all starts end at the steep minimum
    assert all(x == pytest.approx(9 / 11, abs=0.02) for x, _ in ends["plain sum"])
    assert min(spread["mgda"], spread["config"]) > 0.3
    for rule in ("plain sum", "pcgrad", "config"):  # near the Pareto set, mgda later
        assert all(abs(x) < 1.01 and abs(y) < 0.1 for x, y in ends[rule]), rule
    assert picture.stat().st_size > 10_000
