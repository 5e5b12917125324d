from __future__ import annotations

import pytest

from perceptrain_core.errors import DataError
from perceptrain_core.reports.curves import best_epoch, curves
from perceptrain_core.reports.reported_run import read_run, read_runs

from .conftest import METRICS, TABLES


def test_a_whole_folder(make_run):
    run = read_run(make_run(test={"test_loss": 0.5, "note": "text"}), "wine")
    assert run.test == {"test_loss": 0.5}
    assert run.provenance == {"loss": TABLES["provenance"]["loss"]}
    assert run.versions == {"python": "3.11.7", "torch": "2.13.0"}
    assert (run.is_finished, run.notes) == (True, [])
    assert best_epoch(run) == {
        "epoch": 3,
        "train_loss": 0.25,
        "train_accuracy": 0.75,
        "val_loss": 0.375,
        "val_accuracy": 0.875,
    }


def test_the_monitored_metric_chooses_the_best_epoch(make_run):
    callback = {"name": "save_best_checkpoint", "monitor": "train_accuracy", "mode": "max"}
    run = read_run(make_run(tables=TABLES | {"callbacks": [callback]}), "wine")
    assert best_epoch(run)["epoch"] == 4


def test_nan_is_never_the_best_epoch(make_run):
    metrics = "epoch,train_loss,val_loss\n1,nan,nan\n2,1,3\n3,inf,-inf\n4,2,\n"
    run = read_run(make_run(metrics=metrics), "wine")
    assert best_epoch(run)["epoch"] == 2
    assert run.notes == [
        "train_loss is NaN or infinite in 2 of 4 epochs, first in epoch 1.",
        "val_loss is NaN or infinite in 2 of 4 epochs, first in epoch 1.",
    ]


def test_an_interrupted_run_says_so(make_run):
    folder = make_run(metrics=METRICS + "5,0.01")
    (folder / "model.pt").unlink()
    run = read_run(folder, "wine")
    assert len(run.rows) == 4
    assert not run.is_finished
    assert run.notes == ["There is no model.pt: the run is not finished, or was interrupted."]


def test_a_run_without_validation_or_a_run_file(make_run):
    run = read_run(make_run(metrics="epoch,train_loss\n1,2\n", tables=None), "wine")
    assert [note.split(",")[0] for note in run.notes] == [
        "There is no run.toml",
        "The run has no validation: the best epoch is the one of the training loss.",
    ]
    assert run.is_finished
    (chart,) = curves([run])
    assert [line.label for line in chart.lines] == ["train"]


def test_a_run_before_its_first_epoch(make_run):
    run = read_run(make_run(metrics=None), "wine")
    assert run.notes == ["metrics.csv has no rows: no epoch has ended, or write_every is 0."]
    assert curves([run]) == []


def test_settings_of_a_script(make_run):
    run = read_run(make_run(tables=None, hyperparams__json='{"lr": 0.5}'), "wine")
    assert run.settings == {"hyperparams": {"lr": 0.5}}


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "metrics__csv",
            "epoch,train_loss\n1,abc\n",
            "line 2, column 'train_loss': expected a num",
        ),
        ("metrics__csv", "epoch,train_loss\nnan,1\n", "line 2: expected a finite epoch"),
        ("run__toml", "a = [", "run.toml is not a run file in TOML"),
        ("run__toml", "a = 99999999999999999999999", "64 bits"),
        ("test__json", "{", "test.json is not JSON"),
        ("test__json", "[1]", "test.json holds a list: expected a JSON object"),
        ("predictions__csv", "truth,x\n1,2\n", "expected a column 'prediction' too"),
        ("predictions__csv", "truth,prediction,probability_a\na,a,x\n", "numbers as probabilities"),
    ],
)
def test_a_damaged_file_is_named(make_run, file, text, message):
    with pytest.raises(DataError, match="wine") as caught:
        read_run(make_run(**{file: text}), "wine")
    assert message in str(caught.value)


def test_bytes_that_are_not_text(make_run):
    folder = make_run()
    (folder / "run.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not a run file in TOML"):
        read_run(folder, "wine")


def test_no_run_folder_names_the_runs_inside(make_run):
    folder = make_run().parent
    with pytest.raises(DataError, match=r"neither run.toml nor metrics.csv.*runs inside.*wine"):
        read_runs([folder])


def test_the_folder_of_a_comparison_names_its_runs_and_how_to_list_them(make_run):
    folder = make_run("lr/1e-3").parent
    (folder / "table.json").write_text('{"variants": []}', encoding="utf-8")
    message = r"lr is the folder of a comparison.*such as .*1e-3; `perceptrain runs .*lr` lists"
    with pytest.raises(DataError, match=message):
        read_runs([folder])


def test_names_tell_runs_apart(make_run):
    one, two, other = make_run(), make_run("wine/run-2"), make_run("other")
    assert [run.name for run in read_runs([one, two, other, one])] == [
        "wine",
        "wine/run-2",
        "other",
    ]
    assert [run.name for run in read_runs([two])] == ["wine/run-2"]
    assert [run.name for run in read_runs([other])] == ["other"]
