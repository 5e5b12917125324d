"""Forecast a series whose predictive distribution is known, and compare the forecast with it.

Each value is normal, given the one before: an autoregression with a threshold, in which low values
are followed by large changes and high values by small ones. A network learns location and scale by
the CRPS. No forecast has a lower expected CRPS than the truth. The example takes some seconds on
one core; its pictures need matplotlib.
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import torch
from matplotlib import style
from torch import Tensor

from perceptrain import FFNN, TrainConfig, Trainer, get_dataset, get_metric
from perceptrain_forecasting import calibration_plot, fan_chart, read_forecast

LEVELS = (0.5, 0.8, 0.95)
PAST = 4


class Scores(NamedTuple):
    """The figures of the forecast on the test part, and of the truth."""

    crps: float
    true_crps: float
    coverage: float


def truth(past: Tensor) -> tuple[Tensor, Tensor]:
    """Return location and scale of the next value, given values of shape ``(N, PAST)``."""
    last = past[:, -1]
    high = torch.sigmoid(4 * last)
    return 0.6 * last, 1.0 - 0.8 * high


def write_series(path: Path, length: int) -> None:
    """Draw the series, and write it to a CSV file."""
    values, noise = [0.0], torch.randn(length).tolist()
    for error in noise:
        location, scale = truth(torch.tensor([[values[-1]]]))
        values.append(location.item() + scale.item() * error)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["time", "value"])
        writer.writerows(enumerate(values[1:]))


def mean_crps(outputs: tuple[Tensor, Tensor] | Tensor, labels: Tensor) -> float:
    """Return the mean CRPS of normal forecasts."""
    metric = get_metric("mean_crps", forecast="normal")
    metric.update(outputs, labels)
    return float(metric.compute())


def main(folder: Path = Path("."), length: int = 6000, epochs: int = 20) -> Scores:
    """Train and draw. Return the scores on the last fifth of the series."""
    torch.manual_seed(0)
    write_series(folder / "threshold_series.csv", length)
    train, val, (past, labels) = get_dataset(
        "series_windows",
        series=folder / "threshold_series.csv",
        column="value",
        past=PAST,
        val_share=0.1,
        test_share=0.2,
    )
    config = TrainConfig(
        max_iter=epochs,
        batch_size=100,
        val_every=1,
        print_every=max(1, epochs // 5),
        lr_scheduler={"name": "one_cycle", "max_lr": 1e-2},
        log_folder=str(folder / "runs"),
    )
    model = FFNN([PAST, 32, 32, 2])
    metrics = ["coverage", "pit_calibration_error"]
    Trainer(model, "adam", config, loss_fn="crps", metrics=metrics).fit(train, val)

    with torch.no_grad():
        outputs = model(past)
    location, scale = (part.unsqueeze(-1) for part in truth(past))
    coverage = get_metric("coverage", level=0.9)
    coverage.update(outputs, labels)
    scores = Scores(
        mean_crps(outputs, labels), mean_crps((location, scale), labels), float(coverage.compute())
    )
    forecast = read_forecast(outputs[:150], "normal")
    with style.context("perceptrain_core.pictures"):
        figure = fan_chart(forecast, labels[:150, 0], levels=LEVELS)
        figure.axes[0].set_title("one step ahead: the spread depends on the value before")
        figure.savefig(folder / "fan_chart.png")
        calibration_plot(outputs, labels).savefig(folder / "calibration.png")
    print(
        f"CRPS on the test part: {scores.crps:.4f}, of the true distribution "
        f"{scores.true_crps:.4f}; {scores.coverage:.1%} of labels in the 90% interval"
    )
    return scores


if __name__ == "__main__":
    torch.set_num_threads(1)  # a second thread slows down a network this small
    main()
