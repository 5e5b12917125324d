"""Columns as CSV, read back."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path

import numpy as np

from perceptrain_core.inference.columns_file import write_csv, write_csv_file


def test_parts_are_one_table(tmp_path: Path) -> None:
    names = np.array(["a", "b,c", 'd "e"'], dtype=object)
    table = {"label": names, "chance[x]": np.array([0.1, 1 / 3, 1e-20])}
    parts = [{name: column[at] for name, column in table.items()} for at in ([0, 1], [2])]
    file = tmp_path / "out.csv"
    assert write_csv_file(file, parts) == 3
    written = StringIO()
    assert write_csv(written, parts) == 3
    assert written.getvalue() == file.read_text()
    with file.open(newline="") as written_file:
        names_line, *rows = csv.reader(written_file)
    assert names_line == list(table)
    assert [label for label, _ in rows] == names.tolist()
    assert [float(chance) for _, chance in rows] == table["chance[x]"].tolist()
