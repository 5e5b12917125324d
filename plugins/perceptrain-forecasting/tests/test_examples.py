"""The code of the README, the example and the pictures come to what they promise."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from perceptrain import get_loss
from perceptrain.errors import ShapeError
from perceptrain.testing import check_readme
from perceptrain_forecasting import calibration_plot, fan_chart, read_forecast

FOLDER = Path(__file__).parent.parent


def test_the_readme_is_true() -> None:
    needed = ("series", "column")  # options without defaults
    readme = check_readme(FOLDER / "README.md", "perceptrain-forecasting", shared_options=needed)
    narrow, wide = map(float, re.findall(r"tensor\(\[(.*), (.*)\], ", readme.printed)[0])
    assert narrow == pytest.approx(0.38, abs=0.12)
    assert wide == pytest.approx(1.41, abs=0.35)
    (run,) = readme.run_files
    assert get_loss(run["loss"]).levels == (0.5, 0.8)  # type: ignore[union-attr]


@pytest.mark.slow
def test_the_example_is_nearly_as_good_as_the_truth(tmp_path: Path) -> None:
    main = runpy.run_path(str(FOLDER / "examples" / "threshold_series.py"))["main"]
    scores = main(tmp_path, length=1500, epochs=8)
    assert scores.crps < 1.1 * scores.true_crps
    assert scores.coverage == pytest.approx(0.9, abs=0.06)
    for name in ("fan_chart.png", "calibration.png"):
        assert (tmp_path / name).stat().st_size > 10_000


def bars(figure: Figure) -> list[float]:
    return [bar.get_height() for bar in figure.axes[0].patches]  # type: ignore[attr-defined]


def test_a_calibration_plot_has_the_shares_of_the_labels() -> None:
    """Members 0 to 4 and labels between: three below all, one above the second, and so on."""
    members = torch.arange(4.0).expand(6, 4)
    labels = torch.tensor([-1.0, -2.0, -3.0, 1.5, 2.5, 9.0])
    figure = calibration_plot(members, labels, "members", bins=5)
    assert bars(figure) == pytest.approx([5 * share / 6 for share in (3, 0, 1, 1, 1)])
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("PIT histogram", "Reliability diagram")
    assert right.get_xlabel() == "level of the quantile"
    drawn = right.lines[1].get_ydata()
    assert list(drawn) == pytest.approx([0, 3 / 6, 3 / 6, 4 / 6, 5 / 6, 1])


def test_a_calibration_plot_of_quantiles_has_a_bar_between_two_levels() -> None:
    quantiles = torch.tensor([[0.0, 1.0]]).expand(4, 2)
    labels = torch.tensor([-1.0, 0.5, 0.6, 3.0])
    figure = calibration_plot(quantiles, labels, "quantiles", quantiles=[0.25, 0.75])
    assert bars(figure) == pytest.approx([1.0, 1.0, 1.0])


def test_a_calibration_plot_has_each_quantile_where_the_model_returned_it() -> None:
    """Of crossed quantiles, half of the labels are below the first, and all below the second."""
    quantiles = torch.tensor([[0.0, 9.0, 1.0]]).expand(4, 3)
    labels = torch.tensor([-1.0, -0.5, 0.6, 3.0])
    figure = calibration_plot(quantiles, labels, "quantiles", quantiles=[0.25, 0.5, 0.75])
    assert list(figure.axes[1].lines[1].get_ydata()) == [0, 0.5, 1, 0.75, 1]
    assert bars(figure) == pytest.approx([2, 1, 1, 0])  # none, one and two quantiles below


def test_a_fan_chart_draws_medians_and_observations() -> None:
    outputs, labels = torch.randn(5, 2), torch.randn(5)
    forecast = read_forecast(outputs, "normal")
    figure = fan_chart(forecast, labels, levels=[0.5, 0.9], times=[2, 3, 4, 5, 6])
    (axes,) = figure.axes
    median, observed = axes.lines
    assert list(median.get_xdata()) == [2, 3, 4, 5, 6]
    assert list(median.get_ydata()) == pytest.approx(outputs[:, 0].tolist(), rel=1e-6)
    assert list(observed.get_ydata()) == labels.tolist()
    assert len(axes.collections) == 2
    with pytest.raises(ShapeError, match="There are 4 labels for 5 forecasts"):
        fan_chart(forecast, labels[:4])
    with pytest.raises(ShapeError, match="draw one column at a time"):
        fan_chart(read_forecast(outputs, "normal", columns=1))
