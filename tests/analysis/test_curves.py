"""Pictures of curves, read back from what matplotlib was asked to draw."""

from __future__ import annotations

import math
import sys
from random import Random

import pytest

from perceptrain_core.analysis.curves import draw_curves, plot_curves, plot_run
from perceptrain_core.errors import DataError, MissingDependencyError

PNG = b"\x89PNG\r\n\x1a\n"
HISTORY = [
    {"train_loss": 2.0, "train_pde": 1.0, "train_weight_pde": 3.0, "train_accuracy": 0.01},
    {"train_loss": 1.5, "train_pde": 0.5, "train_weight_pde": 4.0, "val_loss": 1.6},
    {"train_loss": 1.2, "train_pde": 0.4, "train_weight_pde": 5.0, "train_accuracy": 0.9},
]


def draw(history, arrange=None):
    """Draw a history, and give the axes by their titles."""
    figure = draw_curves(history, arrange)
    assert figure.png().startswith(PNG)
    return {axes.get_title(): axes for axes in figure.axes}


def points(axes):
    return {line.get_label(): [tuple(p) for p in line.get_xydata()] for line in axes.get_lines()}


@pytest.mark.slow
def test_each_kind_of_metric_has_a_panel_with_its_numbers():
    panels = draw(HISTORY)
    assert list(panels) == ["loss", "accuracy", "metrics", "weights"]
    assert points(panels["loss"]) == {
        "train_loss": [(1, 2.0), (2, 1.5), (3, 1.2)],
        "val_loss": [(2, 1.6)],
    }
    assert points(panels["accuracy"]) == {"train_accuracy": [(1, 0.01), (3, 0.9)]}
    assert points(panels["metrics"])["train_pde"] == [(1, 1.0), (2, 0.5), (3, 0.4)]
    assert points(panels["weights"])["train_weight_pde"] == [(1, 3.0), (2, 4.0), (3, 5.0)]


def test_rows_are_at_their_epochs():
    panels = draw([{"epoch": 5.0, "train_loss": 2.0}, {"epoch": 10.0, "train_loss": 1.0}])
    assert list(panels) == ["loss"]
    assert points(panels["loss"]) == {"train_loss": [(5, 2.0), (10, 1.0)]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "scale"),
    [([1, 100], "log"), ([1, 5], "linear"), ([0, 100], "linear"), ([-1, 100], "linear")],
)
def test_wide_ranges_are_logarithmic(values, scale):
    assert draw([{"train_loss": v} for v in values])["loss"].get_yscale() == scale


def test_accuracies_are_not():
    assert draw([{"val_accuracy": v} for v in (0.01, 0.9)])["accuracy"].get_yscale() == "linear"


def test_what_is_not_finite_is_drawn_as_a_gap():
    assert draw([{"train_loss": v} for v in (math.nan, math.inf, 2.0)])["loss"]


def test_a_history_without_a_loss():
    assert list(draw([{"train_mae": 1.0}])) == ["metrics"]


def test_panels_can_be_chosen():
    arrange = {"terms": ["train_pde", "train_loss"], "val": ["val_loss"], "none": ["train_nothing"]}
    panels = draw(HISTORY, arrange)
    assert {title: list(points(axes)) for title, axes in panels.items()} == {
        "terms": ["train_pde", "train_loss"],
        "val": ["val_loss"],
    }


def test_colours_tell_metrics_and_dashes_validations():
    panels = draw(
        [{"train_loss": 1.0, "val_loss": 2.0, "train_a": 1.0, "train_b": 2.0, "val_a": 3.0}]
    )
    lines = {line.get_label(): line for axes in panels.values() for line in axes.get_lines()}
    dashed = {name for name, line in lines.items() if line.get_linestyle() == "--"}
    assert dashed == {"val_loss", "val_a"}
    colors = {name: line.get_color() for name, line in lines.items()}
    assert colors["train_loss"] != colors["val_loss"]
    assert colors["train_a"] == colors["val_a"] != colors["train_b"]


@pytest.mark.slow
@pytest.mark.parametrize("length", [1000, 1001, 1999, 2000, 2001, 12345])
def test_a_long_curve_keeps_its_extremes(length):
    values = Random(length).choices(range(-100, 100), k=length)
    (curve,) = points(draw([{"train_loss": v} for v in values])["loss"]).values()
    assert len(curve) <= 1000
    assert curve == sorted(curve)
    assert set(curve) <= set(enumerate(values, start=1))
    assert min(y for _, y in curve) == min(values)
    assert max(y for _, y in curve) == max(values)


def test_nothing_to_draw():
    with pytest.raises(DataError, match="The history has no epochs yet"):
        draw([])


def test_a_run_folder(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,train_loss,val_loss\n2,3.5,\n4,1e-3,0.25\n")
    path = plot_run(tmp_path)
    assert path == tmp_path / "curves.png"
    assert path.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"epoch,train_loss\n", "has no rows yet"),
        (b"", "has no rows yet"),
        (b"epoch,train_loss\n1,two\n", "is not a file of metrics"),
        (b"epoch,train_loss\n1,2,3\n", "has no rows yet"),
        (b"a\n\xff\n", "is not a file of metrics"),
    ],
)
def test_what_is_no_metrics(tmp_path, text, message):
    (tmp_path / "metrics.csv").write_bytes(text)
    with pytest.raises(DataError, match=message):
        plot_run(tmp_path)


def test_no_run_folder(tmp_path):
    for folder in (tmp_path, tmp_path / "none", tmp_path / "file"):
        (tmp_path / "file").touch()
        with pytest.raises(DataError, match=r"There is no .*metrics\.csv: expected the folder"):
            plot_run(folder)


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "perceptrain-core\[plot\]"'):
        plot_curves(HISTORY, tmp_path / "a.png")
    assert not any(tmp_path.iterdir())
