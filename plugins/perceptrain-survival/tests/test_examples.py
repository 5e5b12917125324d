"""The code of the README and the example run, and come to what they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

from perceptrain import get_loss, get_metric
from perceptrain.testing import check_readme
from perceptrain_survival import weibull_times

FOLDER = Path(__file__).parent.parent


def test_the_readme_is_true() -> None:
    readme = check_readme(
        FOLDER / "README.md", "perceptrain-survival", shared_options=("at", "grid")
    )
    assert float(readme.printed.split("concordance index: ")[1].split()[0]) > 0.7
    table, hazard = readme.run_files
    assert get_loss(table["loss"]).ties == "efron"
    inputs, labels = weibull_times(50)
    loss = get_loss(hazard["loss"])
    outputs = torch.nn.Linear(4, 5)(inputs)
    for name, options in hazard["metrics"].items():
        metric = get_metric(name, **options)
        metric.update(outputs, labels)
        assert metric.loss.grid == loss.grid
        assert 0 < float(metric.compute()) < 1


@pytest.mark.slow
def test_the_example_leaves_a_picture(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "curves.py"))["main"]
    picture = tmp_path / "curves.png"
    of_patients, of_known, distance = main(picture=picture)
    assert of_patients > 0.62
    assert of_known > 0.72
    assert distance < 0.1
    assert picture.stat().st_size > 10_000
