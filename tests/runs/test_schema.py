"""The schema of run files accepts the run files of the documentation, and finds faults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from perceptrain_core.registry import registry
from perceptrain_core.runs.schema import run_file_schema

ROOT = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "model": {"name": "ffnn", "layers": [13, 3]},
    "loss": "cross_entropy",
    "data": {"name": "wine"},
}


def run_files() -> list[Any]:
    found = [(p.name, p.read_text()) for p in sorted(ROOT.glob("examples/*.toml"))]
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        blocks = re.findall(r"```toml\n(.*?)```", page.read_text(), re.DOTALL)
        found += [(f"{page.name}-{i}", block) for i, block in enumerate(blocks)]
    tables = [(name, tomllib.loads(text)) for name, text in found]
    return [pytest.param(t, id=name) for name, t in tables if {"model", "data"} <= set(t)]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = run_file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_there_are_run_files_to_check():
    assert len(run_files()) > 5


@pytest.mark.parametrize("tables", run_files())
def test_run_files_of_the_docs_and_examples_fit(validator, tables):
    assert [error.message for error in validator.iter_errors(tables)] == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"train": {"max_itr": 3}}, "train"),
        ({"train": {"batch_size": 0}}, "train"),
        ({"train": {"precision": "half"}}, "train"),
        ({"optimiser": "adam"}, ""),
        ({"model": {"layers": [13, 3]}}, "model"),
        ({"data": {"file": "wine.csv"}}, "data"),
        ({"data": {"name": "wine", "val_fraction": 1.5}}, "data"),
        ({"callbacks": [{"patience": 3}]}, "callbacks"),
    ],
)
def test_faults_are_found(validator, change, place):
    errors = list(validator.iter_errors(GOOD | change))
    assert len(errors) == 1
    assert ".".join(map(str, errors[0].path)).startswith(place)


@pytest.mark.parametrize(
    "train",
    [
        {"precision": "fp16-mixed", "activation_checkpointing": True},
        {"precision": "bf16-true", "activation_checkpointing": ["FFNN"]},
    ],
)
def test_other_forms_of_settings_fit(validator, train):
    assert list(validator.iter_errors(GOOD | {"train": train})) == []


def test_the_file_without_a_fault_is_good(validator):
    assert list(validator.iter_errors(GOOD)) == []


def test_a_reference_and_a_name_of_a_plugin_are_allowed(validator):
    assert list(validator.iter_errors(GOOD | {"loss": {"name": "./own.py:loss", "x": 1}})) == []


@pytest.mark.parametrize("kind", ["model", "loss", "optimizer", "weighting", "metric", "callback"])
def test_names_are_suggested(kind):
    text = str(run_file_schema())
    assert all(repr(name) in text for name in registry().catalogue(kind))


def test_every_key_of_data_and_train_is_described():
    tables = run_file_schema()["properties"]
    for table in (tables["train"], tables["data"]["anyOf"][1]):
        assert [name for name, each in table["properties"].items() if not each["description"]] == []


def test_a_description_is_whole():
    """A line of it that ends in a colon is not the name of another key."""
    train = run_file_schema()["properties"]["train"]["properties"]
    assert train["max_time"]["description"].endswith("A resumed run has the whole time again.")
