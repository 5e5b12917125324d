"""Windows of a series: the past as inputs, the future as labels."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from perceptrain.data import read_columns
from perceptrain.errors import ConfigError, DataError
from perceptrain_forecasting.options import check_whole

Pair = tuple[Tensor, Tensor]


class SeriesWindows:
    """The data set ``series_windows``. See `SeriesWindows.__call__` for its options."""

    def __call__(
        self,
        series: Path,
        column: str,
        past: int = 24,
        horizon: int = 1,
        val_share: float = 0.0,
        test_share: float = 0.0,
    ) -> tuple[Pair, ...]:
        """Read a series, and cut it into windows.

        The series is divided in time: the first part trains, the next one validates, the last one
        tests. A window belongs to the part that has its whole future; one whose future is in two
        parts is left out. The past of a window may be in an earlier part.

        Args:
            series: A file with a row for each time, in their order: CSV, Parquet or another format
                of `perceptrain.data.read_columns`.
            column: The column with the values.
            past: The values before a time that are inputs.
            horizon: The values from this time on that are labels.
            val_share: The share of the series that validates.
            test_share: The share of the series that tests.

        Returns:
            Training, validation and test data, as far as they have a share: inputs of shape
            ``(N, past)`` and labels ``(N, horizon)``, float32, overlapping windows in their order.

        Raises:
            ConfigError: An option has a wrong value.
            DataError: The file cannot be read, or a part is too short for a window.
            MissingDependencyError: The format needs a package that is not installed.
        """
        _check(past, horizon, val_share, test_share)
        values = _read(Path(series), column)
        held_out = [round(len(values) * share) for share in (val_share, test_share) if share]
        ends = [len(values) - sum(held_out[place:]) for place in range(len(held_out) + 1)]
        spans = zip([past, *ends], ends, strict=False)
        return tuple(_windows(values, past, horizon, start, end) for start, end in spans)

    def read_inputs(
        self, path: Path, column: str, past: int = 24, **others: Any
    ) -> Iterator[Tensor]:
        """Yield the past of each time of a file, and of the time after its end.

        Row i has the values i to ``i + past - 1``, so that the last row forecasts what is not in
        the file.

        Args:
            path: A file like that of the training.
            column: As for the training.
            past: As for the training.
            others: Not used.

        Raises:
            DataError: The file cannot be read, or has fewer values than ``past``.
        """
        values = _read(path, column)
        if len(values) < past:
            raise DataError(f"{path} has {len(values)} values; expected at least past={past}.")
        yield values.unfold(0, past, 1)

    def read_labelled(
        self, path: Path, column: str, past: int = 24, horizon: int = 1, **others: Any
    ) -> Pair:
        """Return all windows of a file with their labels.

        Args:
            path: A file like that of the training.
            column: As for the training.
            past: As for the training.
            horizon: As for the training.
            others: Not used.

        Raises:
            DataError: The file cannot be read, or is too short for a window.
        """
        values = _read(path, column)
        return _windows(values, past, horizon, past, len(values))


series_windows = SeriesWindows()


def _check(past: int, horizon: int, val_share: float, test_share: float) -> None:
    check_whole("past", past, 1)
    check_whole("horizon", horizon, 1)
    for name, share in {"val_share": val_share, "test_share": test_share}.items():
        if not isinstance(share, int | float) or not 0 <= share < 1:
            raise ConfigError(f"{name}={share!r}: expected a number from 0 to below 1.")
    if val_share + test_share >= 1:
        raise ConfigError(
            f"val_share={val_share} and test_share={test_share} leave nothing to train on; "
            "expected a sum below 1."
        )
    if test_share and not val_share:
        raise ConfigError("test_share without val_share: set both, or neither.")


def _read(path: Path, column: str) -> Tensor:
    values = read_columns(path, [column])[column]
    bad = [row for row, value in enumerate(values, 1) if not _is_number(value)]
    if bad:
        shown = values[bad[0] - 1]
        raise DataError(
            f"{path}: column {column!r} has no number in {len(bad)} of {len(values)} rows, first "
            f"{'a gap' if shown is None or shown != shown else repr(shown)} in row {bad[0]}. Fill "
            "gaps before, as a window needs all its values."
        )
    return torch.from_numpy(values.astype(np.float32))


def _is_number(value: Any) -> bool:
    try:
        return isfinite(float(value))
    except (TypeError, ValueError):
        return False


def _windows(values: Tensor, past: int, horizon: int, start: int, end: int) -> Pair:
    """Return the windows whose futures are between two positions."""
    number = end - horizon - start + 1
    if number < 1:
        raise DataError(
            f"{max(end - start, 0)} values after the first {start} are too few for a window of "
            f"horizon={horizon}: use a longer series, or other options."
        )
    inputs = values[start - past : start - past + number + past - 1].unfold(0, past, 1)
    labels = values[start:end].unfold(0, horizon, 1)
    return inputs.clone(), labels.clone()
