"""Lists of folders that runs, or other programs, have written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from perceptrain_core.comparisons.run_list import list_runs

RUN = '[model]\nname = "ffnn"\n[loss]\nname = "{loss}"\n[optimizer]\nname = "adam"\nlr = 0.01\n'


def write(folder: str, loss: str = "mse", metrics: str = "", **files: object) -> Path:
    place = Path(folder)
    place.mkdir(parents=True)
    (place / "run.toml").write_text(RUN.format(loss=loss))
    if metrics:
        (place / "metrics.csv").write_text(metrics)
    for name, value in files.items():
        (place / f"{name}.json").write_text(json.dumps(value))
    return place


def test_the_figures_are_of_the_weights_in_the_folder() -> None:
    csv = "epoch,val_loss,val_accuracy\n1,3.0,0.5\n2,1.0,0.75\n3,2.0,nan\n"
    write("runs/a", "huber", csv, test={"test_loss": 4.0}, run={"weights": "best", "epoch": 2})
    (run,) = list_runs(Path("runs"))
    assert (run.name, run.kind, run.model, run.loss, run.epochs) == ("a", "run", "ffnn", "huber", 3)
    assert run.val == {"val_loss": 1.0, "val_accuracy": 0.75}
    assert run.test == {"test_loss": 4.0}
    assert run.value("optimizer.lr") == 0.01


def test_what_is_not_a_number_is_null_in_json() -> None:
    write("runs/a", metrics="epoch,val_loss\n1,3.0\n2,nan\n")
    (run,) = list_runs(Path("runs"))
    assert run.as_json()["val"] == {"val_loss": None}


def test_folds_and_comparisons_are_one_entry_each() -> None:
    write("runs/cv", folds={"mean": {"val_loss": 2.0}})
    write("runs/cv/fold_1", metrics="epoch,val_loss\n1,1.0\n")
    write("runs/cv/fold_2", metrics="epoch,val_loss\n1,3.0\n")
    write("runs/c/l1-seed_0", "l1", "epoch,val_loss\n1,1.0\n2,1.0\n")
    best = {"mean": {"val_rmse": 0.5, "test_rmse": 0.6}, "runs": 1, "folder": "l1-seed_0"}
    Path("runs/c/table.json").write_text(json.dumps({"variants": [best]}))
    found = {entry.name: entry for entry in list_runs(Path("runs"))}
    assert set(found) == {"cv", "c"}
    assert (found["cv"].kind, found["cv"].runs, found["cv"].val) == ("folds", 2, {"val_loss": 2.0})
    assert (found["c"].kind, found["c"].loss, found["c"].test) == (
        "comparison",
        "l1",
        {"test_rmse": 0.6},
    )
    assert [entry.name for entry in list_runs(Path("runs/c"))] == ["l1-seed_0"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.toml", "x = ["),
        ("run.toml", "model = 3\nloss = 4"),
        ("run.toml", "\udcff"),
        ("table.json", "[]"),
        ("table.json", '{"variants": [3]}'),
        ("table.json", '{"variants": []}'),
    ],
)
def test_broken_and_foreign_folders_are_left_out(name: str, text: str) -> None:
    write("runs/good")
    Path("runs/bad").mkdir()
    Path("runs/bad", name).write_bytes(text.encode(errors="surrogateescape"))
    assert [entry.name for entry in list_runs(Path("runs"))] == ["good"]


def test_code_that_a_run_names_is_not_imported() -> None:
    place = write("runs/stranger")
    (place / "evil.py").write_text("raise SystemExit('imported')")
    (place / "run.toml").write_text('[model]\nname = "./evil.py:Model"\n[loss]\nname = "evil:x"\n')
    (run,) = list_runs(Path("runs"))
    assert run.model == "evil.py:Model"
