"""The code of the README runs, and its run files build."""

from __future__ import annotations

import re
from pathlib import Path

from perceptrain import FFNN
from perceptrain.testing import check_readme
from perceptrain_core.optimizers.build import build_optimizer


def test_the_readme_is_true() -> None:
    readme = check_readme(Path(__file__).parent.parent / "README.md", "perceptrain-optimizers")
    losses = {name: float(value) for name, value in re.findall(r"(\w+): (\S+)", readme.printed)}
    assert losses["soap"] < losses["adam"] / 3
    built = [build_optimizer(run["optimizer"], FFNN([2, 8, 1])) for run in readme.run_files]
    assert [type(each).__name__ for each in built] == ["SOAP", "MuonAdamW", "SAM"]
    assert [group["use_muon"] for group in built[1].param_groups] == [False, True, False]
