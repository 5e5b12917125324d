"""Run files: what is read, what is refused and how, and what a run writes back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import tomli_w
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from perceptrain_core.errors import ConfigError, DataError
from perceptrain_core.runs.build import in_table, train_config
from perceptrain_core.runs.folder import complete_tables
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.tables import RunFile

SMALL = """
loss = "l1"
[model]
name = "ffnn"
layers = [2, 4, 1]
[data]
name = "digits"
"""
SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(blacklist_categories=("Cs",))),
)


@pytest.fixture
def read(tmp_path):
    def read(text: str = SMALL, *overrides: str) -> RunFile:
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return read_run_file(path, overrides)

    return read


def test_a_small_file_and_its_defaults(read):
    run = read()
    assert (run.model.name, run.model.options) == ("ffnn", {"layers": [2, 4, 1]})
    assert (run.loss.name, run.loss.options) == ("l1", {})
    assert (run.optimizer.name, run.optimizer.options) == ("adam", {})
    assert (run.data.name, run.data.val_fraction, run.data.standardize) == ("digits", 0, False)
    assert (run.train, run.callbacks) == ({}, [])


def test_every_table(read):
    run = read("""
        data = "wine"
        [model]
        name = "ffnn"
        [loss]
        reduction = "sum"
        [optimizer]
        lr = 0.5
        [train]
        max_iter = 3
        [[callbacks]]
        name = "print_metrics"
        called_every = 2
        [provenance.versions]
        torch = "2.6"
    """)
    assert run.data.name == "wine"
    assert (run.loss.name, run.loss.options) == ("mse", {"reduction": "sum"})
    assert (run.optimizer.name, run.optimizer.options) == ("adam", {"lr": 0.5})
    assert run.train == {"max_iter": 3}
    assert run.callbacks[0].options == {"called_every": 2}


# Overrides


@pytest.mark.parametrize(
    ("override", "options"),
    [
        ("loss=huber", {"name": "huber"}),
        ("loss.reduction=sum", {"name": "l1", "reduction": "sum"}),
        ('loss = {name = "huber", delta = 2}', {"name": "huber", "delta": 2}),
        ("loss.a.b.c=[1, 'x']", {"name": "l1", "a": {"b": {"c": [1, "x"]}}}),
        ("loss.delta= 1e-3 # small", {"name": "l1", "delta": 1e-3}),
        ("loss.text=a=b", {"name": "l1", "text": "a=b"}),
        ("loss.text=", {"name": "l1", "text": ""}),
    ],
)
def test_an_override(read, override, options):
    assert read(SMALL, override).loss.model_dump() == options


def test_the_last_override_wins_and_tables_may_be_new(read):
    run = read(SMALL, "train.max_iter=3", "train.max_iter=4", "optimizer.lr=0.1")
    assert run.train == {"max_iter": 4}
    assert (run.optimizer.name, run.optimizer.options) == ("adam", {"lr": 0.1})


@given(SCALARS)
@example(-(2**63))
@example(2**63 - 1)
def test_any_toml_value_overrides_as_itself(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "override.toml"
    path.write_text(SMALL, encoding="utf-8")
    text = tomli_w.dumps({"value": value}).removeprefix("value = ").removesuffix("\n")
    found = read_run_file(path, [f"loss.value={text}"]).loss.options["value"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("override", ["loss", "=3", ".a=3", "train.=3", "a..b=3", ""])
def test_an_override_that_is_none(read, override):
    with pytest.raises(ConfigError, match=r"expected TABLE\.KEY=VALUE, e\.g\. --set train"):
        read(SMALL, override)


@pytest.mark.parametrize(
    ("override", "key"), [("model.layers.x=1", "model.layers"), ("loss.name.x.y=1", "loss.name")]
)
def test_an_override_through_a_value(read, override, key):
    with pytest.raises(ConfigError, match=f"{key} is not a table"):
        read(SMALL, override)


# Faults


def test_all_faults_at_once_each_with_its_path(read):
    text = """
        modle = "ffnn"
        loss = 3
        [data]
        name = "digits"
        val_fraction = 1.5
        split_seed = "x"
        [optimizer]
        name = ""
        [[callbacks]]
        every = 3
    """
    with pytest.raises(ConfigError) as caught:
        read(text)
    first, *lines = str(caught.value).splitlines()
    assert first.endswith("run.toml is not a valid run file:")
    faults = dict(line.strip().split(": ", 1) for line in lines)
    assert faults.keys() == {
        "model",
        "modle",
        "loss",
        "data.val_fraction",
        "data.split_seed",
        "optimizer.name",
        "[[callbacks]] 1, name",
    }
    assert "did you mean 'model'?" in faults["modle"]
    assert faults["loss"] == "expected a table or a name, not 3"
    assert faults["model"] == faults["[[callbacks]] 1, name"] == "field required"
    assert faults["data.val_fraction"] == "input should be less than 1, not 1.5"


def test_an_unknown_table_names_the_allowed_ones(read):
    with pytest.raises(ConfigError, match=r"zzz: .* allowed are model, loss, weighting, opt"):
        read(f"zzz = 3\n{SMALL}")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("val_fraction = 0.1", "data: give either name .* or file"),
        ('name = "a"\nfile = "b.csv"', "data: give either name .* or file"),
        (
            'file = "b.csv"\ninputs = ["x"]',
            "data: a file needs labels, the name of the column",
        ),
        ('file = "b.csv"\ninputs = []\nlabels = ["y"]', "data.inputs: .* at least 1 item"),
        (
            'file = "b.csv"\ninputs = ["x"]\nlabels = ["y"]\nclass = true',
            "data: a file has no class; allowed are file, inputs, labels, classes, weights, group",
        ),
        ('name = "a"\ninputs = ["x"]', "data: inputs: only for columns of a file; no file is set"),
    ],
)
def test_data_that_cannot_be(read, data, message):
    with pytest.raises(ConfigError, match=message):
        read(f'model = "ffnn"\n[data]\n{data}')


def test_callbacks_have_tables_of_their_own(read):
    with pytest.raises(ConfigError, match=r"train: callbacks are tables of their own, \[\[callb"):
        read(SMALL, 'train.callbacks=["print_metrics"]')


@pytest.mark.parametrize("text", ["[model\n", "a = 1\na = 2"])
def test_what_is_no_toml(read, text):
    with pytest.raises(ConfigError, match="is not valid TOML: "):
        read(text)


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        (".01", "write 0.01, or"),
        ("5.", "write 5.0, or"),
        ("-.5e3", "write -500.0, or"),
        ("007", "write 7, or"),
        ("True", "write true"),
        ("None", "TOML has no None: leave the key out"),
    ],
)
def test_what_to_write_instead_of_what_is_no_toml(read, value, advice):
    with pytest.raises(ConfigError, match=rf"not valid TOML: .* For this value, {advice}"):
        read(f"[optimizer]\nlr = {value} # fast\n{SMALL}")
    with pytest.raises(ConfigError, match=rf"^--set 'optimizer.lr={value}': .* {advice}"):
        read(SMALL, f"optimizer.lr={value}")


def test_a_key_that_is_there_twice(read):
    with pytest.raises(ConfigError, match="The key is there twice: leave one out"):
        read(f"{SMALL}\n[optimizer]\nlr = 1\nlr = 2\n")


@pytest.mark.parametrize("text", ["fast", ".", "./a.py", "1.2.3", "run-3", "1e", "_"])
def test_other_values_are_text(read, text):
    assert read(SMALL, f"loss.x={text}").loss.options["x"] == text


@pytest.mark.parametrize(
    "value", ["[" * 5000 + "]" * 5000, "[" * 120 + "]" * 120, "1" * 5000, "9223372036854775808"]
)
def test_toml_beyond_its_limits(read, value):
    with pytest.raises(
        ConfigError, match=r"run\.toml: .* nested .* or an integer has more than 64"
    ):
        read(f"x = {value}\n{SMALL}")
    with pytest.raises(ConfigError, match=r"^--set 'loss\.x=.* nested"):
        read(SMALL, f"loss.x={value}")


def test_faults_of_train_name_the_table_and_the_file(read):
    run = read(SMALL, "train.max_itr=3", "train.batch_size=0", "train.tracking_tool=csw")
    with pytest.raises(ConfigError) as caught:
        train_config(run, Path("run.toml"))
    message = str(caught.value)
    assert message.startswith("run.toml, [train]: ")
    assert "max_itr: unknown setting; did you mean 'max_iter'?" in message
    assert "batch_size: input should be greater than or equal to 1, not 0" in message
    assert "tracking_tool: " in message
    assert "'csv'" in message


def test_an_unknown_callback_is_a_fault(read):
    run = read(f'{SMALL}[[callbacks]]\nname = "print_metric"')
    with pytest.raises(ConfigError, match=r"\[train\].*\n.*callbacks.*[Dd]id you mean 'print_met"):
        train_config(run, Path("run.toml"))


def test_whatever_happens_in_a_table_is_told_with_it():
    with (
        pytest.raises(ConfigError, match=r"^r\.toml, \[data\]: no rows$"),
        in_table(Path("r.toml"), "data"),
    ):
        raise DataError("no rows")
    with (
        pytest.raises(
            ConfigError, match=r"^r\.toml, \[model\]: ValueError: Invalid a b \(test_read.py, line"
        ),
        in_table(Path("r.toml"), "model"),
    ):
        raise ValueError("Invalid\na b")


# Paths


def test_paths_are_relative_to_the_folder_of_the_file(read, tmp_path):
    run = read("""
        model = "./net.py:Net"
        [loss]
        name = "code/loss.py:fancy.one"
        terms = [{f = "../other.py:g", url = "http://x.py:80", plain = "notes.py"}]
        [data]
        file = "points.csv"
        inputs = ["x"]
        labels = ["y"]
    """)
    assert run.model.name == f"{tmp_path}/net.py:Net"
    assert run.loss.name == f"{tmp_path}/code/loss.py:fancy.one"
    (term,) = run.loss.options["terms"]
    assert term == {
        "f": f"{tmp_path.parent}/other.py:g",
        "url": "http://x.py:80",
        "plain": "notes.py",
    }
    assert run.data.file == tmp_path / "points.csv"


def test_absolute_and_home_paths_stay(read, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert read(SMALL, "loss=/lib/a.py:f").loss.name == "/lib/a.py:f"
    assert read(SMALL, "loss=~/a.py:f").loss.name == "/home/someone/a.py:f"
    assert read(SMALL, "loss=package.module:f").loss.name == "package.module:f"


# Written back


def test_what_a_run_writes_is_the_run(read, tmp_path):
    run = read(
        SMALL,
        "loss.weight=inf",
        "data.standardize=true",
        "train.dtype=float64",
        "train.seed=3",
        "train.lr_scheduler={name = 'sequential', schedulers = ['linear'], milestones = []}",
        "train.hyperparams={lr = 0.1, deep = {a = [1]}}",
        "model.activation_function='./act.py:f'",
        'callbacks=[{name = "print_metrics", called_every = 3}]',
    )
    config = train_config(run, tmp_path)
    tables = complete_tables(run, config, {"versions": {"torch": "2"}})
    again = read(tomli_w.dumps(tables))
    for table in ("model", "loss", "optimizer", "data", "callbacks"):
        assert getattr(again, table) == getattr(run, table)
    assert again.loss.options["weight"] == math.inf
    assert again.provenance == {"versions": {"torch": "2"}}
    assert train_config(again, tmp_path) == config
    assert config.dtype is torch.float64


@pytest.mark.parametrize(
    "given", ["true", "'FFNN'", "['layers', 'FFNN']"], ids=["all", "class", "names"]
)
def test_activation_checkpointing_is_written_back(read, tmp_path, given):
    config = train_config(read(SMALL, f"train.activation_checkpointing={given}"), tmp_path)
    tables = complete_tables(read(SMALL), config, {})
    again = train_config(read(tomli_w.dumps(tables)), tmp_path)
    assert config.activation_checkpointing
    assert again.activation_checkpointing == config.activation_checkpointing


@pytest.mark.parametrize("given", ["'cosine_annealing'", "{name = 'one_cycle', max_lr = 0.1}"])
def test_a_learning_rate_schedule_is_written_back(read, tmp_path, given):
    run = read(SMALL, f"train.lr_scheduler={given}")
    tables = complete_tables(run, train_config(run, tmp_path), {})
    assert tables["train"]["lr_scheduler"] == run.train["lr_scheduler"]
