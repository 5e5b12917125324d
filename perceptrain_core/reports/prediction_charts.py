"""Charts of predictions: against the truth for a regression, counts and calibration for classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from statistics import fmean

from perceptrain_core.reports.axis import number_text
from perceptrain_core.reports.chart import MAX_POINTS, Chart, Line
from perceptrain_core.reports.metric_table import Point

_BINS = 10


@dataclass(frozen=True)
class ConfusionMatrix:
    """How often each class was predicted for each true class.

    Attributes:
        title: The title.
        classes: The names of the classes.
        counts: The counts: a row for each true class, a column for each predicted one.
        caption: The share of rows that are right.
    """

    title: str
    classes: Sequence[str]
    counts: Sequence[Sequence[int]]
    caption: str

    def shares(self, row: int) -> list[float]:
        """Return the counts of a true class as shares of its rows; zeros if it has none."""
        total = sum(self.counts[row])
        return [count / total if total else 0.0 for count in self.counts[row]]


def prediction_charts(
    truth: Sequence[float],
    prediction: Sequence[float],
    classes: Sequence[str] | None = None,
    probabilities: Sequence[Sequence[float]] | None = None,
    label: str = "",
) -> list[Chart | ConfusionMatrix]:
    """Return the charts of one label.

    Args:
        truth: The labels, shape (rows,): numbers, or positions in ``classes``.
        prediction: The predictions, of the same shape.
        classes: The names of the classes; without them, it is a regression.
        probabilities: The probability of each class, shape (rows, classes).
        label: The name of the label.

    Returns:
        For a regression, predictions against the truth, and residuals; for classes, the confusion
        matrix, and with probabilities the calibration. Nothing without rows.

    Raises:
        ValueError: The lengths differ.
    """
    pairs = [(float(t), float(p)) for t, p in zip(truth, prediction, strict=True)]
    if classes is None:
        finite = [pair for pair in pairs if isfinite(pair[0]) and isfinite(pair[1])]
        return [*_regression(finite, len(pairs), label)] if finite else []
    if not pairs:
        return []
    positions = [(int(t), int(p)) for t, p in pairs]
    found: list[Chart | ConfusionMatrix] = [_confusion(positions, classes, label)]
    if probabilities is not None:
        found.append(_calibration([t for t, _ in positions], probabilities, label))
    return found


def _titled(title: str, label: str) -> str:
    return f"{label}: {title[0].lower()}{title[1:]}" if label else title


def _regression(pairs: list[Point], rows: int, label: str) -> list[Chart]:
    errors = [p - t for t, p in pairs]
    low, high = min(map(min, pairs)), max(map(max, pairs))
    mean = fmean(t for t, _ in pairs)
    spread = sum((t - mean) ** 2 for t, _ in pairs)
    squares = sum(error**2 for error in errors)
    r2 = f", R² {number_text(1 - squares / spread)}" if spread else ""
    missing = rows - len(pairs)
    left_out = (
        f"; {missing:,} {'row is' if missing == 1 else 'rows are'} not finite" if missing else ""
    )
    figures = (
        f"{len(pairs):,} rows{left_out}: RMSE {number_text(sqrt(squares / len(pairs)))}, "
        f"MAE {number_text(fmean(map(abs, errors)))}{r2}."
        f"{' Some of them are drawn.' if len(pairs) > MAX_POINTS else ''}"
    )
    ends = (min(p for _, p in pairs), 0.0), (max(p for _, p in pairs), 0.0)
    residuals = [(p, error) for (_, p), error in zip(pairs, errors, strict=True)]
    shared = {"log": False, "dots": True, "legend": False}
    return [
        Chart(
            _titled("Predictions against the truth", label),
            [Line("prediction", pairs)],
            "truth",
            "prediction",
            guide=((low, low), (high, high)),
            caption=figures,
            square=True,
            **shared,
        ),
        Chart(
            _titled("Residuals", label),
            [Line("residual", residuals, 1)],
            "prediction",
            "prediction - truth",
            guide=ends,
            caption=f"The mean of the residuals is {number_text(fmean(errors))}.",
            square=True,
            **shared,
        ),
    ]


def _confusion(
    positions: list[tuple[int, int]], classes: Sequence[str], label: str
) -> ConfusionMatrix:
    counts = [[0] * len(classes) for _ in classes]
    for true, predicted in positions:
        counts[true][predicted] += 1
    right = sum(true == predicted for true, predicted in positions)
    caption = f"{right:,} of {len(positions):,} rows are right ({right / len(positions):.1%})."
    return ConfusionMatrix(_titled("Confusion matrix", label), list(classes), counts, caption)


def _calibration(truth: list[int], probabilities: Sequence[Sequence[float]], label: str) -> Chart:
    """Compare the probability of the predicted class with how often it is right."""
    bins: list[list[tuple[float, bool]]] = [[] for _ in range(_BINS)]
    for true, row in zip(truth, probabilities, strict=True):
        confidence = float(max(row))
        right = float(row[true]) == confidence
        bins[max(0, min(int(confidence * _BINS), _BINS - 1))].append((confidence, right))
    filled = [each for each in bins if each]
    points = [(fmean(c for c, _ in each), fmean(right for _, right in each)) for each in filled]
    error = sum(
        len(each) * abs(confidence - share)
        for each, (confidence, share) in zip(filled, points, strict=True)
    ) / len(truth)
    return Chart(
        _titled("Calibration", label),
        [Line("share that is right", points)],
        "probability of the predicted class",
        "share that is right",
        log=False,
        guide=((0.0, 0.0), (1.0, 1.0)),
        caption=f"In {_BINS} bins, the calibration error is {number_text(error)}.",
        legend=False,
        square=True,
    )
