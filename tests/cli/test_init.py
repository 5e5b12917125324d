"""``perceptrain init``: the run file of a table, and the training with it."""

from __future__ import annotations

import json
import tomllib
from datetime import date, timedelta
from pathlib import Path

import jsonschema
import numpy as np
import pandas
import pytest
from sklearn import datasets

from perceptrain_core.data.tables.survey import survey_column, survey_table
from perceptrain_core.errors import DataError
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.schema import run_file_schema

from .conftest import invoke


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_csv(path: str, columns: dict[str, object], separator: str = ",") -> None:
    rows = zip(*columns.values(), strict=True)
    lines = [separator.join(columns), *(separator.join(map(str, row)) for row in rows)]
    Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


def mixed(rows: int = 300) -> dict[str, object]:
    """A table with two useful columns, and with all kinds of useless ones."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=rows)
    color = generator.choice(["red", "green", "blue"], rows)
    y = x + (color == "red") + 0.1 * generator.normal(size=rows)
    gaps = np.where(generator.random(rows) < 0.1, "", x.round(4).astype(str))
    return {
        "row": np.arange(rows),
        "x": gaps,
        "color": color,
        "customer_id": generator.permutation(rows) + 5000,
        "version": [3] * rows,
        "name": [f"Person {i}" for i in range(rows)],
        "day": [f"2024-01-{i % 28 + 1:02d}" for i in range(rows)],
        "empty": [""] * rows,
        "twice": 2 * y.round(4),
        "y": y.round(4),
        "kind": np.where(y > 0.5, "high", "low"),
        "grade": np.digitize(y, [-0.5, 0.5, 1.5]),
    }


def scores(name: str, *overrides: str) -> dict[str, float]:
    """Train from a run file, and return the figures of the test rows."""
    path = Path(name)
    quiet = ["train.verbose=false", "train.checkpoint_every=0", *overrides]
    run = build_run(read_run_file(path, quiet), path)
    run.train()
    return run.test()


def test_without_a_label_the_columns_are_listed():
    write_csv("t.csv", mixed())
    result = invoke("init", "t.csv")
    assert result.exit_code == 0
    assert "color" in result.stdout
    assert "3 categories (blue, green, red)" in result.stdout
    assert result.stdout.endswith("perceptrain init t.csv --label COLUMN\n")
    assert not Path("t.toml").exists()


def test_an_unknown_label_has_a_suggestion():
    write_csv("t.csv", mixed())
    result = invoke("init", "t.csv", "--label", "knd")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'kind'?" in result.stderr
    assert not Path("t.toml").exists()


def test_useless_columns_are_left_out_and_the_reasons_are_comments():
    write_csv("t.csv", mixed(), separator=";")
    result = invoke("init", "t.csv", "--label", "y")
    assert result.exit_code == 0
    assert result.stdout.endswith("t.toml is written. Next: perceptrain train t.toml\n")
    text = Path("t.toml").read_text()
    data = tomllib.loads(text)["data"]
    wrong = ["row", "customer_id", "version", "name", "day", "empty", "twice"]
    assert data["inputs"] == [f"!{name}" for name in wrong]
    assert data["missing"] == "fill"
    assert all(f"# Left out: {name!r} " in text for name in wrong)
    assert (data["standardize"], data["scale_labels"]) == (True, True)
    assert "stratify" not in data


@pytest.mark.parametrize(("label", "classes"), [("kind", 2), ("grade", 4)])
def test_text_and_few_whole_numbers_are_classes(label, classes):
    write_csv("t.csv", mixed())
    assert f"{classes} classes of {label}" in invoke("init", "t.csv", "--label", label).stdout
    tables = tomllib.loads(Path("t.toml").read_text())
    assert (tables["loss"]["name"], tables["data"]["stratify"]) == ("cross_entropy", True)
    assert tables["data"]["classes"] is True
    assert set(tables["metrics"]) == {"accuracy", "f1"}


def test_few_whole_numbers_can_be_numbers():
    write_csv("t.csv", mixed())
    assert invoke("init", "t.csv", "--label", "grade", "--numbers").exit_code == 0
    assert tomllib.loads(Path("t.toml").read_text())["loss"]["name"] == "mse"


@pytest.mark.slow
def test_the_file_fits_the_schema():
    write_csv("t.csv", mixed())
    assert invoke("init", "t.csv", "--label", "kind").exit_code == 0
    jsonschema.validate(tomllib.loads(Path("t.toml").read_text()), run_file_schema())
    assert json.loads(invoke("schema").stdout) == run_file_schema()
    assert invoke("schema", "-o", "s.json").stdout == "The schema is in s.json\n"
    assert json.loads(Path("s.json").read_text()) == run_file_schema()
    assert invoke("schema", "-o", "none/s.json").exit_code == 2


def test_an_existing_file_is_kept_unless_forced():
    write_csv("t.csv", mixed())
    Path("t.toml").write_text("mine")
    result = invoke("init", "t.csv", "--label", "y")
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert Path("t.toml").read_text() == "mine"
    assert invoke("init", "t.csv", "--label", "y", "--force").exit_code == 0
    assert Path("t.toml").read_text() != "mine"


def test_the_data_file_is_found_from_the_folder_of_the_run_file():
    Path("data").mkdir()
    write_csv("data/t.csv", mixed())
    assert invoke("init", "data/t.csv", "--label", "y", "-o", "runs/new/my run.toml").exit_code == 0
    assert tomllib.loads(Path("runs/new/my run.toml").read_text())["data"]["file"] == (
        "../../data/t.csv"
    )
    assert invoke("train", "runs/new/my run.toml", "--dry-run").exit_code == 0


def test_names_cannot_break_out_of_comments_and_values():
    columns = mixed()
    evil = '"a]\\b'
    columns[evil] = columns.pop("version")
    np.savez(
        "t.npz", **{f"x\n[train]{evil}": np.zeros(300), "x": np.arange(300) % 7, "y": columns["y"]}
    )
    assert invoke("init", "t.npz", "--label", "y").exit_code == 0
    assert tomllib.loads(Path("t.toml").read_text())["data"]["inputs"] == [f"!x\n[train]{evil}"]


def test_several_labels():
    write_csv("t.csv", {name: mixed()[name] for name in ("x", "color", "y", "grade")})
    result = invoke("init", "t.csv", "--label", "y", "--label", "grade")
    assert "Regression of y, grade" in result.stdout
    assert scores("t.toml", "train.max_iter=20")["test_r2"] > 0.5


def test_rows_without_a_label_are_dropped():
    columns = mixed()
    columns["y"] = ["" if i % 10 == 0 else y for i, y in enumerate(columns["y"])]
    write_csv("t.csv", {"color": columns["color"], "twice": columns["grade"], "y": columns["y"]})
    assert invoke("init", "t.csv", "--label", "y").exit_code == 0
    assert tomllib.loads(Path("t.toml").read_text())["data"]["missing"] == "drop"
    assert invoke("train", "t.toml", "--dry-run").exit_code == 0


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["version"], "is always 3"),
        (["empty"], "no row has a value"),
        (["y", "kind"], "is text"),
        (["name"], "another text in each row"),
    ],
)
def test_labels_that_cannot_be_learned(labels, message):
    write_csv("t.csv", mixed())
    result = invoke("init", "t.csv", *(part for name in labels for part in ("--label", name)))
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_copy_of_the_class_is_left_out():
    columns = {"x": np.arange(50.0) % 9, "code": np.arange(50) % 2 * 7.0, "y": np.arange(50.0) % 2}
    survey = survey_table(columns, ["y"])
    assert [column.name for column in survey.left_out] == ["code"]


def test_why_text_is_no_category():
    rows = 60
    columns = {
        "day": [date(2024, 1, 1) + timedelta(days=row) for row in range(rows)],
        "mostly": np.array([None, *map(str, range(rows - 2)), "-9 EUR"], object),
        "name": np.array([f"Person {i}" for i in range(rows)], object),
        "x": np.arange(rows) % 7,
        "y": np.arange(rows) % 11 / 3,
    }
    pandas.DataFrame(columns).to_parquet("t.parquet")
    result = invoke("init", "t.parquet", "--label", "y")
    reasons = {
        "day": "holds dates, such as '2024-01-01'",
        "mostly": "holds numbers, but '-9 EUR' in row 60 is not one",
        "name": "has another text in each row, such as 'Person 0', as names and ids do",
    }
    assert "1 column is an input." in result.stdout
    assert f"Left out: {'; '.join(f'{n!r} {r}' for n, r in reasons.items())}.\n" in result.stdout
    lines = Path("t.toml").read_text().splitlines()
    assert lines[0] == "# Learns 'y' from 1 column of 't.parquet'."
    assert all(f"# Left out: {name!r} {reason}." in lines for name, reason in reasons.items())


def test_a_column_that_determines_the_label_is_mentioned():
    columns = mixed() | {"after": np.round(mixed()["y"], 1)}
    chosen = {name: columns[name] for name in ("x", "color", "after", "y")}
    write_csv("t.csv", chosen)
    printed = invoke("init", "t.csv", "--label", "y").stdout
    assert "'after' alone tells the label (its correlation with the label is 0.99" in printed
    write_csv("u.csv", {"x": columns["x"], "twice": columns["twice"], "kind": columns["kind"]})
    invoke("init", "u.csv", "--label", "kind")
    text = Path("u.toml").read_text()
    assert "# 'twice' alone tells the label: each class has a range of its values." in text
    assert "inputs" not in tomllib.loads(text)["data"]  # a hint: it may be a good input
    write_csv("v.csv", {"x": columns["x"], "color": columns["color"], "kind": columns["kind"]})
    assert "alone tells" not in invoke("init", "v.csv", "--label", "kind").stdout


def test_few_whole_numbers_are_a_hint_that_works():
    write_csv("t.csv", {name: mixed()[name] for name in ("x", "grade", "y")})
    invoke("init", "t.csv", "--label", "y")
    text = Path("t.toml").read_text()
    assert '# categorical = ["grade"]' in text
    path = Path("u.toml")
    path.write_text(text.replace("# categorical", "categorical"))
    run = build_run(read_run_file(path), path)
    assert run.preparation.inputs[1].categories == ("0", "1", "2", "3")


def test_without_any_input_the_reasons_are_listed():
    columns = {"a": np.ones(50), "y": np.arange(50.0) % 2}
    with pytest.raises(DataError, match="no column can be an input: 'a' is constant"):
        survey_table(columns, ["y"])


def test_few_rows_have_no_ids():
    assert survey_column("id", np.arange(10.0)).refused is None
    assert survey_column("id", np.arange(50.0)).refused == "numbers the rows"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "metric", "least"),
    [
        ("digits", "test_accuracy", 0.93),
        ("diabetes", "test_r2", 0.4),
    ],
)
def test_known_data_are_learned(name, metric, least):
    bunch = getattr(datasets, f"load_{name}")()
    columns = {f"c{i}": column for i, column in enumerate(bunch.data.T)}
    write_csv("t.csv", columns | {"label": bunch.target})
    assert invoke("init", "t.csv", "--label", "label").exit_code == 0
    assert scores("t.toml", "train.max_iter=8")[metric] > least


@pytest.mark.slow
def test_rare_classes_are_learned():
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2000, 3))
    label = np.where(x[:, 0] + x[:, 1] * x[:, 2] > 2.4, "rare", "common")
    assert 0.03 < (label == "rare").mean() < 0.12
    write_csv("t.csv", {f"x{i}": column for i, column in enumerate(x.T)} | {"label": label})
    assert invoke("init", "t.csv", "--label", "label").exit_code == 0
    assert scores("t.toml", "train.max_iter=30")["test_f1"] > 0.8


@pytest.mark.slow
def test_the_next_command_of_each_step_works():
    write_csv("t.csv", mixed())
    next_one = invoke("init", "t.csv", "--label", "kind").stdout.splitlines()[-1]
    assert next_one.endswith("Next: perceptrain train t.toml")
    trained = invoke("train", "t.toml", "--set", "train.max_iter=5")
    assert trained.exit_code == 0, trained.stderr
    command = "perceptrain predict runs/t DATA.csv, or perceptrain report runs/t"
    assert trained.stdout.splitlines()[-1] == f"Next: {command}"
    predicted = invoke("predict", "runs/t", "t.csv", "-o", "out.csv")
    assert (predicted.exit_code, predicted.stdout) == (0, "300 rows are in out.csv\n")


def test_labels_of_yes_and_no_and_of_survival_have_losses_of_their_own():
    generator = np.random.default_rng(0)
    x, years = generator.normal(size=80), generator.exponential(size=80)
    columns = {"x": x, "sick": 1 * (x > 0), "old": 1 * (x > 1), "years": years}
    write_csv("people.csv", columns)
    both = invoke("init", "people.csv", "--label", "sick", "--label", "old", "-o", "both.toml")
    hint = 'Each label is 0 or 1. For an answer of yes or no to each, set name = "bce_with_logits"'
    assert hint in both.stdout
    assert hint in " ".join(Path("both.toml").read_text().replace("# ", "").split())
    changes = "loss=bce_with_logits", "data.scale_labels=false", "metrics={}"
    figures = scores("both.toml", *changes, "train.max_iter=2")
    assert 0 < figures["test_loss"] < 1
    event = invoke("init", "people.csv", "--label", "years", "--label", "sick", "-o", "event.toml")
    assert (
        "'sick' is 0 or 1. If it says whether an event happened, and 'years' when" in event.stdout
    )
    assert 'labels = ["sick", "years"], and leave out scale_labels' in event.stdout
    plain = invoke("init", "people.csv", "--label", "x", "--label", "years", "-o", "plain.toml")
    assert "0 or 1" not in plain.stdout + Path("plain.toml").read_text()
