"""Windows of a series, and a run on them from the CSV file to quantiles of what comes next."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import torch
from pyarrow import parquet

from perceptrain import get_dataset, load_run
from perceptrain.errors import ConfigError, DataError
from perceptrain_core.cli.main import app
from perceptrain_forecasting import SeriesWindows

RUN = """
[model]
name = "ffnn"
hidden = [8]

[loss]
name = "weighted_interval_score"
levels = [0.8]

[data]
name = "series_windows"
series = "series.csv"
column = "load"
past = 4
val_share = 0.25

[metrics]
coverage = { level = 0.8, forecast = "quantiles", quantiles = [0.1, 0.5, 0.9] }

[train]
max_iter = 2
batch_size = 16
verbose = false
"""


def write(path: Path, values: Any) -> Path:
    rows = [f"{hour},{value}" for hour, value in enumerate(values)]
    path.write_text("\n".join(["hour,load", *rows]) + "\n")
    return path


def test_windows_are_in_order_and_never_share_their_future(tmp_path: Path) -> None:
    file = write(tmp_path / "series.csv", range(20))
    options = {"column": "load", "past": 3, "horizon": 2}
    parts = get_dataset("series_windows", series=file, val_share=0.25, test_share=0.2, **options)
    assert [len(inputs) for inputs, _ in parts] == [7, 4, 3]
    seen: list[set[float]] = []
    for inputs, labels in parts:
        assert inputs.dtype == labels.dtype == torch.float32
        both = torch.cat([inputs, labels], dim=1)
        torch.testing.assert_close(both, both[:, :1] + torch.arange(5))
        seen.append(set(labels.flatten().tolist()))
    assert seen == [set(range(3, 11)), set(range(11, 16)), set(range(16, 20))]
    ((inputs, labels),) = get_dataset("series_windows", series=file, **options)
    assert inputs[0].tolist() == [0, 1, 2]
    assert labels[-1].tolist() == [18, 19]
    data = SeriesWindows()
    (new,) = data.read_inputs(file, "load", past=3)
    assert new[0].tolist() == [0, 1, 2]
    assert new[-1].tolist() == [17, 18, 19]
    torch.testing.assert_close(data.read_labelled(file, **options), (inputs, labels))


def test_parameters_of_distributions_have_no_units_of_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "series.csv", range(60))
    (tmp_path / "load.toml").write_text(RUN)
    scaled = ["data.scale_labels=true", "loss=crps", "metrics={coverage={}}"]
    with pytest.raises(SystemExit) as ended:
        app(["train", "load.toml", *(part for each in scaled for part in ("--set", each))])
    assert ended.value.code == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "coverage reads outputs that are not in the units of the labels" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"past": 0}, "past=0: expected a whole number of at least 1"),
        ({"val_share": 1.5}, "val_share=1.5: expected a number from 0 to below 1"),
        ({"val_share": 0.5, "test_share": 0.5}, "leave nothing to train on"),
        ({"test_share": 0.5}, "set both, or neither"),
    ],
)
def test_options(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    file = write(tmp_path / "series.csv", range(20))
    with pytest.raises(ConfigError, match=message):
        get_dataset("series_windows", series=file, column="load", **options)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    file = write(tmp_path / "series.csv", [1.0, "", 3.0])

    def read(path: Path = file, column: str = "load", past: int = 1) -> None:
        get_dataset("series_windows", series=path, column=column, past=past)

    with pytest.raises(DataError, match="no number in 1 of 3 rows, first a gap in row 2"):
        read()
    with pytest.raises(DataError, match="no column 'lod'"):
        read(column="lod")
    with pytest.raises(DataError, match="There is no data file"):
        read(tmp_path / "none.csv")
    text = write(tmp_path / "text.csv", [1.0, "calm", 3.0, "n/a"])
    with pytest.raises(DataError, match="no number in 2 of 4 rows, first 'calm' in row 2"):
        read(text)
    short = write(file, range(3))
    with pytest.raises(DataError, match="0 values after the first 24 are too few"):
        read(short, past=24)
    with pytest.raises(DataError, match="has 3 values; expected at least past=24"):
        next(SeriesWindows().read_inputs(short, "load"))


@pytest.mark.parametrize("name", ["spreadsheet.csv", "german.csv", "table.parquet"])
def test_every_format_of_a_table_is_read(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if name == "table.parquet":
        parquet.write_table(pyarrow.table({"load": [1.5, 2, 3]}), file)
    elif name == "german.csv":
        file.write_text("hour;load\n1;1,5\n2;2,0\n3;3,0\n")
    else:
        file.write_text("load\n1.5\n2\n3\n", encoding="utf-8-sig")
    ((inputs, labels),) = get_dataset("series_windows", series=file, column="load", past=1)
    assert inputs.tolist() == [[1.5], [2]]
    assert labels.tolist() == [[2], [3]]


def test_a_run_on_a_file_predicts_quantiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "series.csv", torch.randn(60).tolist())
    (tmp_path / "load.toml").write_text(RUN)
    for command in ("train load.toml", "predict runs/load series.csv -o quantiles.csv"):
        with pytest.raises(SystemExit) as ended:
            app(command.split())
        assert not ended.value.code
    with (tmp_path / "quantiles.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 57
    assert len(rows[0]) == 3
    predicted = load_run("runs/load").predict("series.csv").values
    assert float(rows[-1]["prediction[1]"]) == pytest.approx(predicted[-1, 1].item(), rel=1e-6)
    figures = load_run("runs/load").test("series.csv")
    assert 0 <= figures["test_coverage"] <= 1
