"""Files and folders that are no run files, and are easily named instead of one."""

from __future__ import annotations

import pytest

from perceptrain_core.errors import ConfigError
from perceptrain_core.runs.read import read_run_file

SMALL = """
loss = "l1"
[model]
name = "ffnn"
layers = [2, 4, 1]
[data]
name = "digits"
"""


def test_what_is_no_text(tmp_path):
    path = tmp_path / "run.toml"
    path.write_bytes(SMALL.encode() + "# Größe".encode("latin-1"))
    with pytest.raises(ConfigError, match="not valid TOML, which is encoded in UTF-8: save it"):
        read_run_file(path)


@pytest.mark.parametrize("name", ["wine.csv", "wine.PARQUET", "wine.h5"])
@pytest.mark.parametrize("size", [20, 2**20])
def test_a_table_of_data_is_no_run_file(tmp_path, name, size):
    path = tmp_path / name
    path.write_bytes("Größe;a\n".encode("latin-1") + b"1" * size)
    with pytest.raises(ConfigError, match=rf"is a table of data; .* perceptrain init {path} writ"):
        read_run_file(path)


def test_a_run_folder_is_no_run_file(tmp_path):
    (tmp_path / "run.toml").write_text(SMALL)
    with pytest.raises(ConfigError, match=r"is a run folder; expected a run file, .*/run\.toml\."):
        read_run_file(tmp_path)


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml cannot be read: No such file"):
        read_run_file(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_run_file(tmp_path)
