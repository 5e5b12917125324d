"""The predictions of a run, as a CSV file in its folder."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from perceptrain_core.errors import DataError

_TRUTH, _PREDICTION, _PROBABILITY = "truth", "prediction", "probability_"


@dataclass(frozen=True)
class LabelPredictions:
    """The predictions of one label.

    Attributes:
        label: The name of the label; empty if there is only one.
        truth: The labels: numbers, or positions in ``classes``.
        prediction: The predictions, alike.
        classes: The names of the classes; ``None`` for a regression.
        probabilities: For each row the probability of each class, if they are known.
    """

    label: str
    truth: Sequence[float]
    prediction: Sequence[float]
    classes: Sequence[str] | None = None
    probabilities: Sequence[Sequence[float]] | None = None


def read_predictions(path: Path, classes: Sequence[str] = ()) -> list[LabelPredictions]:
    """Read a file with columns ``truth`` and ``prediction``, or ``truth_LABEL`` and so on.

    Text is read as classes, and with one label, ``probability_CLASS`` may have the probabilities.

    Args:
        path: The file. Without it there are no predictions.
        classes: The names of the classes, which may look like numbers.

    Raises:
        DataError: A column is missing, or the file cannot be read.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [row for row in reader if None not in row and None not in row.values()]
            columns = list(reader.fieldnames or [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not CSV: {error}.") from None
    labels = [name.removeprefix(_TRUTH) for name in columns if name.startswith(_TRUTH)]
    missing = [_PREDICTION + rest for rest in labels if _PREDICTION + rest not in columns]
    if missing or not labels:
        raise DataError(
            f"{path} has the columns {', '.join(columns)[:200] or 'none'}: expected a column "
            f"{missing[0] if missing else _TRUTH!r} too."
        )
    cells = {name: [row[name] for row in rows] for name in columns}
    return [_one_label(path, cells, rest, classes) for rest in labels]


def _one_label(
    path: Path, cells: dict[str, list[str]], rest: str, known: Sequence[str]
) -> LabelPredictions:
    truth, prediction = cells[_TRUTH + rest], cells[_PREDICTION + rest]
    label = rest.lstrip("_")
    named = [n.removeprefix(_PROBABILITY) for n in cells if n.startswith(_PROBABILITY)]
    if not named and not known:
        try:
            return LabelPredictions(label, list(map(float, truth)), list(map(float, prediction)))
        except ValueError:  # text is classes
            pass
    first = named or list(known)
    classes = first + sorted({*truth, *prediction}.difference(first))
    position = {name: float(i) for i, name in enumerate(classes)}
    return LabelPredictions(
        label,
        [position[name] for name in truth],
        [position[name] for name in prediction],
        classes,
        _probabilities(path, cells, named) if named == classes and not label else None,
    )


def _probabilities(
    path: Path, cells: dict[str, list[str]], classes: Sequence[str]
) -> list[list[float]]:
    try:
        columns = [list(map(float, cells[_PROBABILITY + name])) for name in classes]
    except ValueError as error:
        raise DataError(f"{path}: expected numbers as probabilities: {error}.") from None
    return [list(row) for row in zip(*columns, strict=True)]
