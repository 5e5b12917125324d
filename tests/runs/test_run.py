"""Runs from a file: what they compute, against loops by hand, and what they leave."""

from __future__ import annotations

import csv
import json
import tomllib
from textwrap import dedent

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error
from torch import nn

from perceptrain import FFNN
from perceptrain_core.errors import ConfigError, DataError
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.run import Run

LINE = """
[model]
name = "ffnn"
layers = [2, 4, 1]
[optimizer]
name = "sgd"
lr = 0.1
[data]
file = "line.csv"
inputs = ["a", "b"]
labels = ["y"]
[train]
max_iter = 6
batch_size = 4
shuffle = false
seed = 5
verbose = false
"""


@pytest.fixture
def line(here) -> np.ndarray:
    """Ten rows of a line, in a file: two inputs and a label."""
    inputs = np.random.default_rng(0).normal(3, 2, (10, 2)).round(3)
    table = np.column_stack([inputs, inputs @ [1, -2]])
    np.savetxt(here / "line.csv", table, delimiter=",", header="a,b,y", comments="")
    return table


@pytest.fixture
def build(here):
    def build(text: str = LINE, *overrides: str, name: str = "line.toml") -> Run:
        path = here / name
        path.write_text(dedent(text), encoding="utf-8")
        return build_run(read_run_file(path, overrides), path)

    return build


def by_hand(table: np.ndarray, epochs: int = 6) -> tuple[list[float], nn.Module]:
    rows = torch.tensor(table, dtype=torch.float32)
    torch.manual_seed(5)
    model = FFNN([2, 4, 1])
    losses = []
    for _ in range(epochs):
        of_batches = []
        for batch in rows.split(4):
            loss = (model(batch[:, :2]) - batch[:, 2:]).square().mean()
            gradients = torch.autograd.grad(loss, [*model.parameters()])
            with torch.no_grad():
                for parameter, gradient in zip(model.parameters(), gradients, strict=True):
                    parameter -= 0.1 * gradient
            of_batches.append(len(batch) * loss.item())
        losses.append(sum(of_batches) / len(rows))
    return losses, model


# What a run computes and leaves


def test_a_run_is_the_loop_by_hand(build, line, here):
    run = build()
    folder = run.train()
    losses, model = by_hand(line)
    assert folder == here / "runs" / "line"
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose([float(row["train_loss"]) for row in rows], losses, rtol=1e-5)
    weights = torch.load(folder / "model.pt", weights_only=True)
    torch.testing.assert_close(weights, model.state_dict(), rtol=1e-4, atol=1e-4)


def test_the_written_file_runs_again_just_so(build, line):
    run = build()
    folder = run.train()
    text = (folder / "run.toml").read_text()
    assert 'file = "../../line.csv"' in text
    again = build(text, name="runs/line/again.toml")
    second = again.train()
    assert second == folder / "run-2"
    assert (second / "run.toml").read_text() == text.replace("../../line", "../../../line")
    assert (second / "metrics.csv").read_text() == (folder / "metrics.csv").read_text()


def test_the_written_file_says_who_supplied_what(build, line):
    folder = build(f"{LINE}\n[[callbacks]]\nname = 'print_metrics'").train()
    provenance = tomllib.loads((folder / "run.toml").read_text())["provenance"]
    for part, name in {"model": "ffnn", "loss": "mse", "callback_0": "print_metrics"}.items():
        assert provenance[part]["name"] == f"perceptrain-core/{name}"
    assert provenance["versions"]["torch"] == torch.__version__


def test_the_defaults_of_a_run(build, line):
    config = build(LINE, "train.max_iter=50").trainer.config
    assert (config.print_every, config.checkpoint_every, config.write_every) == (5, 5, 1)
    assert (config.tracking_tool, config.val_every) == ("csv", 0)
    assert build(LINE, "data.val_fraction=0.2").trainer.config.val_every == 1
    assert build(LINE, "train.write_every=3").trainer.config.write_every == 3


def test_several_trackers(build, line):
    run = build(LINE, 'train.tracking_tool=["csv", "tensorboard"]')
    folder = run.train()
    assert any(path.name.startswith("events.") for path in folder.iterdir())
    written = tomllib.loads((folder / "run.toml").read_text())
    assert written["train"]["tracking_tool"] == ["csv", "tensorboard"]
    assert written["provenance"]["tracker_1"]["name"] == "perceptrain-core/tensorboard"
    again = read_run_file(folder / "run.toml")
    assert again.train["tracking_tool"] == ["csv", "tensorboard"]


def test_metrics_are_there_whatever_the_tracker(build, line):
    folder = build(LINE, "train.tracking_tool=none", "train.write_every=0").train()
    assert len((folder / "metrics.csv").read_text().splitlines()) == 7


@pytest.mark.parametrize("asked", ["by the call", "by the file"])
def test_a_resumed_run_is_bit_identical(build, line, here, asked):
    shuffled = "train.shuffle=true", "optimizer=adam"
    whole = build(LINE, *shuffled, name="whole.toml").train()
    build(LINE, *shuffled, "train.max_iter=3").train()
    if asked == "by the call":
        resumed = build(LINE, *shuffled).train(resume=True)
    else:
        resumed = build(LINE, *shuffled, "train.resume=true").train()
    assert "resume" not in tomllib.loads((resumed / "run.toml").read_text())["train"]
    assert (resumed / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    one, other = (torch.load(f / "model.pt", weights_only=True) for f in (whole, resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_test_data_are_scaled_and_their_means_written(build, line):
    run = build(LINE, "data.test_fraction=0.4", "data.standardize=true", "loss=l1")
    folder = run.train()
    means = run.test()
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0)).numpy()
    train, test = line[order[:6]], line[order[6:]]
    inputs = (test[:, :2] - train[:, :2].mean(axis=0)) / train[:, :2].std(axis=0)
    with torch.no_grad():
        outputs = run.trainer.model(torch.tensor(inputs, dtype=torch.float32)).numpy()
    assert means == json.loads((folder / "test.json").read_text())
    assert means["test_loss"] == pytest.approx(np.abs(outputs - test[:, 2:]).mean(), rel=1e-5)


def test_test_data_without_a_batch(build, line, here):
    (here / "code.py").write_text("def data():\n    return [([],)[0], None, iter(())]\n")
    run = build(LINE, 'data="./code.py:data"')
    with pytest.raises(DataError, match="test data have no batch"):
        run.test()


# A dry run


def test_a_dry_run_trains_one_batch_and_leaves_nothing(build, line, here):
    run = build(LINE, "data.val_fraction=0.5", "train.plot_every=1", "train.log_model=true")
    before = sorted(here.rglob("*"))
    row = run.try_one_batch()
    assert row.keys() == {"train_loss", "val_loss"}
    assert run.trainer.global_step == 1
    assert sorted(here.rglob("*")) == before


# Code of the user's


@pytest.mark.slow
def test_a_pinn_with_equations_of_a_file(build, here):
    (here / "equations.py").write_text(
        dedent("""
            import torch

            def ode(t, u):
                (du,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
                return du + u(t)

            def start(t, u):
                return u(t) - 1

            def points(n=20):
                return {"ode": torch.rand(n, 1), "start": torch.zeros(1, 1)}
        """)
    )
    run = build("""
        [model]
        name = "pinn"
        nn = {name = "ffnn", layers = [1, 20, 1]}
        equations = {ode = "./equations.py:ode", start = "./equations.py:start"}
        [optimizer]
        name = "adam"
        lr = 0.02
        [data]
        name = "./equations.py:points"
        n = 30
        [train]
        max_iter = 300
        batch_size = 30
        seed = 0
        verbose = false
    """)
    assert run.splits.describe() == "train 30 rows (ode) and 1 row (start)"
    run.train()
    times = torch.linspace(0, 1, 11).unsqueeze(1)
    torch.testing.assert_close(run.trainer.model.nn(times), (-times).exp(), atol=0.02, rtol=0)


def test_random_data_of_a_function_come_with_the_seed(build, here):
    (here / "code.py").write_text(
        "import torch\ndef data(n=8):\n    x = torch.rand(n, 2)\n    return x, x[:, :1]\n"
    )
    first, again, more = (
        build(LINE, f'data={{name = "./code.py:data", n = {n}}}') for n in (8, 8, 9)
    )
    assert torch.equal(first.splits.train[0], again.splits.train[0])
    for run in (again, more):  # nor do the weights depend on how the data were made
        assert torch.equal(
            next(first.trainer.model.parameters()), next(run.trainer.model.parameters())
        )


def test_loaders_a_model_and_a_loss_of_a_file(build, here):
    (here / "code.py").write_text(
        dedent("""
            import torch
            from torch.utils.data import DataLoader, TensorDataset

            Net = lambda width: torch.nn.Linear(2, width)

            def loss(batch, model, *, power=2):
                value = (model(batch[0]) - batch[1]).abs().pow(power).mean()
                return value, {"twice": 2 * value}

            def loaders():
                rows = TensorDataset(torch.ones(6, 2), torch.ones(6, 1))
                return DataLoader(rows, batch_size=2), DataLoader(rows, batch_size=3)
        """)
    )
    run = build("""
        model = {name = "./code.py:Net", width = 1}
        loss = {name = "./code.py:loss", power = 3}
        data = "./code.py:loaders"
        train = {max_iter = 2, verbose = false}
    """)
    assert run.splits.describe() == "train 3 batches, val 2 batches"
    run.train()
    (first, _) = run.trainer.history
    assert first.keys() == {"train_loss", "train_twice", "val_loss", "val_twice"}
    assert first["val_twice"] == pytest.approx(2 * first["val_loss"])


def test_a_criterion_of_torch(build, line):
    run = build(LINE, "loss={name = 'torch.nn:SmoothL1Loss', beta = 0.5}")
    run.train()
    assert np.isfinite(run.trainer.history[-1]["train_loss"])


def test_text_labels_train_a_classifier(build, here):
    (here / "line.csv").write_text("a,b,y\n1,2,yes\n3,4,no\n5,6,yes\n1,0,no\n")
    run = build(LINE, "loss=cross_entropy", "model.layers=[2, 8, 2]")
    run.train()
    assert run.splits.train[1].tolist() == [1, 0, 1, 0]


# Faults, each with its table


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("loss=msee", r"\[loss\]: .*'msee'.*[Dd]id you mean 'mse'"),
        ("loss={name = 'huber', dleta = 2}", r"\[loss\]: .*dleta.*[Dd]id you mean 'delta'"),
        ("loss=hazard", r"\[loss\]: The loss 'hazard' requires the option 'grid'"),
        ("loss={name='hazard',grid='0'}", r"\[loss\]: .*grid"),
        ("model.layer=[2, 1]", r"\[model\]: .*'layer'.*[Dd]id you mean 'layers'"),
        ("model.layers=[2, 'x']", r"\[model\]: "),
        ("model='./none.py:Net'", r"\[model\]: .*the file .* does not exist"),
        ("optimizer.lr=-1", r"\[optimizer\]: .*lr=-1: ValueError: Invalid learning rate: -1"),
        ("optimizer.lrr=1", r"\[optimizer\]: .*'lrr'.*[Dd]id you mean 'lr'"),
        ("optimizer.name=sgdd", r"\[optimizer\]: .*[Dd]id you mean 'sgd'"),
        ("data.file='none.csv'", r"\[data\]: There is no data file"),
        ("data.labels=['z']", r"\[data\]: .*no column 'z'; the columns are a, b, y"),
        ("data.val_fraction=0.01", r"\[data\]: .*10 rows cannot be split"),
        ("data=digit", r"\[data\]: .*[Dd]id you mean 'digits'"),
        (
            "data={name = 'wine', val_fractoin = 0.1}",
            r"\[data\]: .*table itself accepts: name, val_",
        ),
        ("train.max_itr=3", r"\[train\]: .*\n.*max_itr: .*did you mean 'max_iter'"),
        ("train.checkpoint_best_only=true", r"\[train\]: checkpoint_best_only needs validation"),
        ("train.val_every=2", r"\[train\]: val_every needs validation data.*val_fraction"),
        ("train.lr_scheduler={name='step'}", r"\[train.lr_scheduler\]: .*'step' requires"),
        (
            "train.lr_scheduler={name='step', step_size=0}",
            r"\[train.lr_scheduler\]: .*'step' cannot be stepped: ZeroDivisionError",
        ),
        (
            "callbacks=['print_metrics', {name='early_stopping', patience=0}]",
            r"\[\[callbacks\]\] 2: EarlyStopping: patience=0",
        ),
        ("callbacks=['early_stoping']", r"\[\[callbacks\]\] 1: .*[Dd]id you mean 'early_stopp"),
        ("loss='./bad.py:mine'", r"\[loss\]: .*ValueError: no mine \(bad.py, line 2\)"),
        ("train.nprocs=0", r"\[train\]: .*\n.*nprocs: .*greater than or equal to 1"),
    ],
)
def test_a_fault_is_told_with_its_table(build, line, here, override, message):
    (here / "bad.py").write_text("\nraise ValueError('no mine')\n")
    with pytest.raises(ConfigError, match=rf"line\.toml, {message}"):
        build(LINE, override)


def test_trying_the_schedule_leaves_the_optimizer_alone(build, line):
    schedule = "train.lr_scheduler={name = 'one_cycle', max_lr = 1.0}"
    run = build(LINE, "optimizer={name = 'sgd', lr = 0.1, momentum = 0.5}", schedule)
    (group,) = run.trainer.optimizer.param_groups
    assert (group["lr"], group["momentum"], "initial_lr" in group) == (0.1, 0.5, False)


def test_settings_are_checked_before_the_data_are_loaded(build, here):
    with pytest.raises(ConfigError, match=r"\[train\]"):
        build(LINE, "train.batch_size=0", "data.file=none.csv")


def test_code_that_fails_is_the_fault_of_its_table(build, line, here):
    (here / "code.py").write_text("def data():\n    return 1 / 0\n")
    with pytest.raises(ConfigError, match=r"\[data\]: ZeroDivisionError: division by zero") as e:
        build(LINE, 'data="./code.py:data"')
    assert isinstance(e.value.__cause__, ZeroDivisionError)


def test_what_toml_can_hold_is_written_back(build, line):
    """Tables in tables, infinities and dates are no trouble at the start of a run."""
    run = build(LINE, "train.hyperparams={when = 2020-01-02, most = inf, deep = [{a = 1}]}")
    text = (run.train() / "run.toml").read_text()
    assert tomllib.loads(text)["train"]["hyperparams"] == run.run_file.train["hyperparams"]


def test_the_table_keeps_what_callbacks_wrote(build, line, here):
    (here / "mine.py").write_text(
        "from perceptrain import Callback\n"
        "def note(trainer, config, writer):\n"
        "    writer.write(trainer.current_epoch, {'mine': 10.0 * trainer.current_epoch})\n"
        "def noting():\n    return Callback('train_epoch_end', callback=note)\n"
    )
    folder = build(f"{LINE}\n[[callbacks]]\nname = './mine.py:noting'").train()
    header, *rows = (folder / "metrics.csv").read_text().splitlines()
    column = header.split(",").index("mine")
    assert [row.split(",")[column] for row in rows[:2]] == ["10.0", "20.0"]
    assert [row.split(",")[0] for row in rows] == [str(n + 1) for n in range(len(rows))]


METRICS = """
[metrics]
r2 = {}
error = { name = "mae" }
"""


def test_metrics_over_the_data(build, line):
    text = LINE.replace('labels = ["y"]', 'labels = ["y"]\nval_fraction = 0.3\ntest_fraction = 0.3')
    run = build(text + METRICS)
    folder = run.train()
    results = run.test()
    assert list(results) == ["test_loss", "test_r2", "test_error"]
    assert json.loads((folder / "test.json").read_text()) == results
    x, y = (
        run.splits.test.dataset.tensors if hasattr(run.splits.test, "dataset") else run.splits.test
    )
    with torch.no_grad():
        error = run.trainer.model(x) - y
    assert results["test_error"] == pytest.approx(error.abs().mean().item(), rel=1e-6)
    r2 = 1 - error.square().sum() / (y - y.mean()).square().sum()
    assert results["test_r2"] == pytest.approx(r2.item(), rel=1e-4)
    rows = list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))
    found = [float(row["val_error"]) for row in rows if row["val_error"]]
    assert found == [row["val_error"] for row in run.trainer.history]
    again = read_run_file(folder / "run.toml")
    assert again.metrics == run.run_file.metrics


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[metrics]\nr3 = {}", r"\[metrics\]: There is no metric 'r3'"),
        ('[metrics]\nr2 = { average = "macro" }', r"\[metrics\]: .*average"),
        ("[metrics]\nloss = { name = 'r2' }", r"\[metrics\]: The label of a metric is 'loss'"),
        ("[metrics]\nr2 = 1", r"metrics.r2: expected a table or a name, not 1"),
        ("[[metrics]]\nname = 'r2'", "metrics: expected a table with a key for each"),
    ],
)
def test_metrics_that_cannot_be_built(build, line, table, message):
    with pytest.raises(ConfigError, match=message):
        build(LINE + table)


# Groups of parameters


def test_groups_of_parameters_and_muon(build, line):
    text = f"""{LINE}
    [[optimizer.groups]]
    match = "*.bias"
    lr = 0.0
    [[optimizer.groups]]
    ndim = 2
    optimizer = "muon"
    lr = 0.01
    """
    run = build(text, "optimizer.weight_decay=0.0")
    biases = {n: p.clone() for n, p in run.trainer.model.named_parameters() if n.endswith("bias")}
    weights = {n: p.clone() for n, p in run.trainer.model.named_parameters() if p.ndim == 2}
    folder = run.train()
    after = dict(run.trainer.model.named_parameters())
    assert len(biases) == 2
    assert all(torch.equal(after[name], bias) for name, bias in biases.items())
    assert all(not torch.equal(after[name], weight) for name, weight in weights.items())
    written = tomllib.loads((folder / "run.toml").read_text())
    assert written["optimizer"]["groups"][1] == {"ndim": 2, "optimizer": "muon", "lr": 0.01}
    assert read_run_file(folder / "run.toml").optimizer == run.run_file.optimizer


def test_a_group_that_fits_nothing(build, line):
    with pytest.raises(ConfigError, match=r"\[optimizer\]: groups\[0\].*'\*\.bais'.*\.bias"):
        build(LINE, 'optimizer.groups=[{match = "*.bais", lr = 0.1}]')


# Sample weights


def test_a_column_of_weights(build, line, here):
    weights = np.arange(10) / 4
    table = np.column_stack([line, weights])
    np.savetxt(here / "weights.csv", table, delimiter=",", header="a,b,y,w", comments="")
    file = 'data.file="weights.csv"', "data.weights=w"
    run = build(LINE, *file, "data.val_fraction=0.5", "data.standardize=true", "loss=l1")
    row = run.trainer.validate()
    inputs, labels, given = run.splits.val
    assert sorted(given.tolist() + run.splits.train[2].tolist()) == weights.tolist()
    with torch.no_grad():
        outputs = run.trainer.model(inputs)
    truth = mean_absolute_error(labels, outputs, sample_weight=given)
    assert row["val_loss"] == pytest.approx(truth, rel=1e-5)
    assert tomllib.loads((run.train() / "run.toml").read_text())["data"]["weights"] == "w"
    with pytest.raises(ConfigError, match="weights: only for columns of a file; no file is set"):
        build(LINE, 'data={name = "wine", weights = "w"}')


def test_validations_after_steps(build, line, here):
    text = LINE.replace('labels = ["y"]', 'labels = ["y"]\nval_fraction = 0.2')
    settings = ["train.val_every_steps=3", "train.tracking_tool=none", "train.max_time=01:00:00"]
    run = build(text, *settings)
    assert (run.trainer.config.val_every, run.trainer.config.max_time) == (0, 3600)
    folder = run.train()
    with (folder / "validations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["step"], row["epoch"]) for row in rows] == [
        ("3", "2"),
        ("6", "3"),
        ("9", "5"),
        ("12", "6"),
    ]
    assert [float(row["val_loss"]) for row in rows] == [
        row["val_loss"] for row in run.trainer.validations
    ]
    written = tomllib.loads((folder / "run.toml").read_text())["train"]
    assert (written["val_every_steps"], written["max_time"]) == (3, 3600)
    assert "val_loss" in build(text, *settings).try_one_batch()


def test_optimizers_one_after_the_other(line, build) -> None:
    text = LINE.replace(
        'name = "sgd"\nlr = 0.1',
        'name = "sequential"\n'
        'optimizers = [{name = "adam", lr = 0.1, groups = [{match = "*.bias", lr = 0.2}]}, '
        '{name = "ssbroyden", max_iter = 3}]\n'
        "milestones = [{patience = 1, threshold = 0.99}]",
    ).replace("batch_size = 4", 'batch_size = 10\ndtype = "float64"')
    run = build(text + 'lr_scheduler = {name = "step", step_size = 2}')
    optimizer = run.trainer.optimizer
    assert [group["lr"] for group in optimizer.param_groups] == [0.2, 0.1]
    run.train()
    assert optimizer.state_dict()["sequence"]["progress"]["ends"] == [3]
    assert type(optimizer.active).__name__ == "SSBroyden"
