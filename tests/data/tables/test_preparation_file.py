"""Preparations as files."""

from __future__ import annotations

import pytest

from perceptrain_core.data.tables.preparation import InputColumn, LabelColumns, Preparation
from perceptrain_core.data.tables.preparation_file import read_preparation, write_preparation
from perceptrain_core.data.tables.tensor_preparation import TensorPreparation
from perceptrain_core.errors import DataError


@pytest.mark.parametrize(
    "preparation",
    [
        Preparation((InputColumn("\u00e9", "category", ("\u4e2d", "")),), LabelColumns(("y",))),
        TensorPreparation((2,), (0.1, 1e-300), (1.0, 1e300), ("a", "b")),
    ],
)
def test_what_is_written_is_read(tmp_path, preparation):
    path = tmp_path / "preparation.json"
    write_preparation(path, preparation)
    assert read_preparation(path) == preparation


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[]", "expected a preparation of version 1, .* not version None of None"),
        ('{"version": 2, "kind": "table"}', "not version 2 of table"),
        ('{"version": 1, "kind": ["table"]}', "not version 1 of"),
        (
            '{"version": 1, "kind": "table"}',
            "json: This is not a prep(?s:.*)inputs: Field",
        ),
    ],
)
def test_files_that_are_none(tmp_path, text, message):
    path = tmp_path / "preparation.json"
    with pytest.raises(DataError, match="cannot be read"):
        read_preparation(path)
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_preparation(path)
