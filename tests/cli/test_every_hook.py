"""One plugin that uses every hook, and a run that takes all its parts from it by name."""

from __future__ import annotations

import json
import tomllib

import pytest

from perceptrain_core.registry import KINDS

from .conftest import HEAD

HOOKS = (
    HEAD
    + """

@hookimpl
def perceptrain_losses():
    return [Spec("two_terms", "all_parts:two_terms", "A fit and a size.")]


@hookimpl
def perceptrain_models():
    return [Spec("line", "all_parts:Line", "A linear model.")]


@hookimpl
def perceptrain_weightings():
    return [Spec("halves", "all_parts:Halves", "A weight of one half for all.")]


@hookimpl
def perceptrain_optimizers():
    return [Spec("descent", "all_parts:descent", "Gradient descent.")]


@hookimpl
def perceptrain_callbacks():
    return [Spec("count", "all_parts:Count", "Counts epochs.")]


@hookimpl
def perceptrain_trackers():
    return [Spec("lines", "all_parts:Lines", "A line for each epoch.")]


@hookimpl
def perceptrain_metrics():
    return [Spec("largest", "all_parts:Largest", "The largest error.")]


@hookimpl
def perceptrain_datasets():
    return [Spec("ramp", "all_parts:ramp", "Points on a line.")]
"""
)

PARTS = """
import torch

from perceptrain import Callback, Tracker
from perceptrain.weightings import Weighting


def two_terms(batch, model):
    x, y = batch
    terms = {"fit": (model(x) - y).square().mean(), "size": model(x).square().mean()}
    return sum(terms.values()), terms


class Line(torch.nn.Linear):
    def __init__(self, size: int = 1):
        super().__init__(size, 1)


class Halves(Weighting):
    def update(self, terms, grads):
        return {name: 0.5 * torch.ones_like(term) for name, term in terms.items()}


def descent(parameters, rate: float = 0.1):
    return torch.optim.SGD(parameters, lr=rate)


class Count(Callback):
    def __init__(self, to: str = "counted.txt"):
        super().__init__("train_epoch_end")
        self.to = to

    def run_callback(self, trainer, config, writer):
        with open(self.to, "a") as file:
            file.write(f"{trainer.current_epoch}\\n")


class Lines(Tracker):
    def write(self, iteration, metrics):
        with open("lines.txt", "a") as file:
            file.write(f"{iteration} {metrics['train_loss']:.3f}\\n")


class Largest:
    def __init__(self, start: float = 0.0):
        self.start = start
        self.reset()

    def reset(self):
        self.value = self.start

    def update(self, preds, target):
        self.value = max(self.value, float((preds - target).abs().max()))

    def compute(self):
        return self.value


def ramp(points: int = 8):
    x = torch.linspace(0, 1, points).unsqueeze(-1)
    return x, 2 * x
"""

RUN = """
[model]
name = "line"

[loss]
name = "two_terms"

[weighting]
name = "halves"

[optimizer]
name = "descent"
rate = 0.05

[data]
name = "ramp"
points = 12
val_fraction = 0.25

[metrics]
largest = {}
floor = { name = "largest", start = 100 }

[train]
max_iter = 3
tracking_tool = "lines"

[[callbacks]]
name = "count"
to = "epochs.txt"
"""


@pytest.mark.slow
def test_a_run_of_the_parts_of_one_plugin(site):
    site.plugin("all-hooks", HOOKS, "2.0")
    (site.root / "all_parts.py").write_text(PARTS)
    (site.root / "run.toml").write_text(RUN)
    listed = json.loads(site.run("plugins", "--json").stdout)
    provides = next(p["provides"] for p in listed if p["distribution"] == "all-hooks")
    assert provides.keys() == {kind.plural for kind in KINDS}

    done = site.run("train", "run.toml")
    assert done.returncode == 0, done.stderr
    assert (site.root / "epochs.txt").read_text() == "1\n2\n3\n"
    assert len((site.root / "lines.txt").read_text().splitlines()) == 3
    (folder,) = (site.root / "runs").iterdir()
    header = (folder / "metrics.csv").read_text().splitlines()[0]
    assert "train_weight_fit" in header
    assert {"val_largest", "val_floor"} <= set(header.split(","))
    record = tomllib.loads((folder / "run.toml").read_text())
    assert record["metrics"]["floor"] == {"name": "largest", "start": 100}
    parts = ("model", "loss", "weighting", "optimizer", "data", "tracker", "metric_floor")
    found = {part: record["provenance"][part] for part in parts if part in record["provenance"]}
    assert {entry["distribution"] for entry in found.values()} == {"all-hooks"}
    assert {entry["version"] for entry in found.values()} == {"2.0"}
    assert found.keys() >= {"model", "loss", "optimizer", "data", "tracker", "metric_floor"}
    assert site.run("check-plugin", "all-hooks").returncode == 0
