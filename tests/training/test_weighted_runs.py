"""Weighted losses in the trainer and in run files."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, Trainer, WeightedLoss
from perceptrain.errors import ConfigError
from perceptrain.optimizers import AdamLBFGS
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file
from perceptrain_core.runs.run import Run

MakeTrainer = Callable[..., Trainer]
SCHEMES: dict[str, dict[str, Any]] = {
    "grad_weighted": {"fixed_metric": "fit", "every": 3},
    "grad_norm_balance": {"every": 3},
    "gradnorm": {"every": 2},
    "relobralo": {"look_back": 0.5},
    "dwa": {"window": 3},
    "random": {},
}


def two_terms(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    x, y = batch
    outputs = model(x)
    terms = {"fit": (outputs - y).square().mean(), "size": outputs.abs().mean()}
    return terms["fit"] + terms["size"], terms


def weighted(name: str) -> WeightedLoss:
    return WeightedLoss(two_terms, {"name": name, **SCHEMES[name]})


def outcome(trainer: Trainer) -> dict[str, Any]:
    weights = [parameter.tolist() for parameter in trainer.model.parameters()]
    return {"weights": weights, "history": [*trainer.history], "loss": trainer.loss_fn.state_dict()}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "stop"), [*zip(SCHEMES, [2, 5] * 3, strict=True)])
def test_a_resumed_run_is_bit_identical(make_trainer: MakeTrainer, name: str, stop: int) -> None:
    """Also over the hand-over from Adam to L-BFGS, after the third epoch."""

    def trainer(epochs: int, folder: str) -> Trainer:
        with torch.random.fork_rng():
            torch.manual_seed(2)
            model = FFNN([2, 8, 1])
        optimizer = AdamLBFGS(model.parameters(), 3, {"lr": 0.01}, {"max_iter": 3, "lr": 0.1})
        return make_trainer(
            weighted(name),
            model=model,
            optimizer=optimizer,
            max_iter=epochs,
            shuffle=True,
            seed=5,
            checkpoint_every=1,
            log_folder=folder,
        )

    whole = trainer(7, "whole")
    whole.fit()
    trainer(stop, "parts").fit()
    torch.rand(9)
    resumed = trainer(7, "parts")
    resumed.fit(resume=True)
    assert outcome(resumed) == outcome(whole)
    assert {"train_weight_size", "train_fit", "train_size"} <= whole.history[-1].keys()


def test_with_accumulated_gradients_weights_change_once_a_step(make_trainer: MakeTrainer) -> None:
    """The first of the batches updates the weights, and all are weighed alike."""
    loss_fn = WeightedLoss(two_terms, {"name": "grad_weighted", "fixed_metric": "fit"})
    seen: list[float] = []

    def watched(batch: Any, model: nn.Module) -> Any:
        loss, metrics = loss_fn(batch, model)
        seen.append(metrics["weight_size"].item())
        return loss, metrics

    watched.begin_step = loss_fn.begin_step  # type: ignore[attr-defined]
    make_trainer(watched, accumulate=2, max_iter=2).fit()
    assert seen[::2] == seen[1::2]
    assert len({*seen}) == 4
    assert loss_fn.get_extra_state()["steps"] == 4


def test_validation_has_the_metrics_and_changes_nothing(
    make_trainer: MakeTrainer, rows: tuple[Tensor, Tensor]
) -> None:
    outcomes = []
    for val in (None, rows):
        trainer = make_trainer(weighted("gradnorm"), val=val, val_every=1 if val else 0)
        trainer.fit()
        outcomes.append(outcome(trainer)["weights"])
    assert outcomes[0] == outcomes[1]
    assert {"val_fit", "val_size", "val_weight_fit"} <= trainer.history[-1].keys()


def test_who_supplied_the_weighting(make_trainer: MakeTrainer) -> None:
    found = make_trainer(WeightedLoss("mse", "random")).provenance
    assert found["weighting"]["name"] == "perceptrain-core/random"
    assert found["loss"]["name"] == "perceptrain-core/mse"
    whole = make_trainer({"name": "grad_weighted", "fixed_metric": "a"}).provenance
    assert whole["loss"]["name"] == "perceptrain-core/grad_weighted"
    assert "weighting" not in whole


RUN = """
[model]
name = "ffnn"
layers = [2, 4, 1]
[loss]
name = "./code.py:two_terms"
[weighting]
name = "grad_weighted"
fixed_metric = "fit"
every = 2
[data]
name = "./code.py:data"
[train]
max_iter = 4
batch_size = 4
seed = 5
verbose = false
"""
CODE = """
import torch

def two_terms(batch, model):
    x, y = batch
    outputs = model(x)
    terms = {"fit": (outputs - y).square().mean(), "size": outputs.abs().mean()}
    return terms["fit"] + terms["size"], terms

def data():
    x = torch.linspace(-1, 1, 24).reshape(12, 2)
    return x, x.sum(dim=1, keepdim=True).sin()
"""


@pytest.fixture
def build(here: Path) -> Callable[..., Run]:
    (here / "code.py").write_text(CODE, encoding="utf-8")

    def build(*overrides: str, text: str = RUN) -> Run:
        path = here / "run.toml"
        path.write_text(text, encoding="utf-8")
        return build_run(read_run_file(path, overrides), path)

    return build


def test_a_weighting_in_a_run_file(build: Callable[..., Run]) -> None:
    run = build()
    folder = run.train()
    loss_fn = run.trainer.loss_fn
    assert isinstance(loss_fn, WeightedLoss)
    assert (loss_fn.weighting.fixed_metric, loss_fn.weighting.every) == (("fit",), 2)
    assert loss_fn.metric_weights["size"] != 1
    written = tomllib.loads((folder / "run.toml").read_text())
    assert written["weighting"] == {"name": "grad_weighted", "fixed_metric": "fit", "every": 2}
    assert written["provenance"]["weighting"]["name"] == "perceptrain-core/grad_weighted"
    assert "train_weight_size" in (folder / "metrics.csv").read_text().splitlines()[0]
    again = build_run(read_run_file(folder / "run.toml"), folder / "run.toml").train()
    assert (again / "metrics.csv").read_text() == (folder / "metrics.csv").read_text()
    assert build("weighting=random").trainer.provenance["weighting"]["name"].endswith("/random")


def test_a_run_with_a_weighting_is_resumed_bit_for_bit(build: Callable[..., Run]) -> None:
    whole = build().train()
    kept = (whole / "metrics.csv").read_text()
    part = build("train.max_iter=2").train()
    assert part != whole
    assert build().train(resume=True) == part
    assert (part / "metrics.csv").read_text() == kept


@pytest.mark.parametrize("changed", ["weighting.every=3", "weighting=random"])
def test_a_resume_with_another_weighting_is_refused(
    build: Callable[..., Run], changed: str
) -> None:
    build("train.max_iter=2").train()
    with pytest.raises(ConfigError, match=r"other options in \[weighting\]. A resumed run"):
        build(changed).train(resume=True)
    text = RUN.replace('[weighting]\nname = "grad_weighted"\nfixed_metric = "fit"\nevery = 2\n', "")
    with pytest.raises(ConfigError, match=r"other options in \[weighting\]"):
        build(text=text).train(resume=True)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("weighting=gradnrm", r"run\.toml, \[weighting\]: .*did you mean.*gradnorm"),
        ("weighting.evry=3", r"run\.toml, \[weighting\]: .*evry"),
        ("weighting.alpha=7", r"run\.toml, \[weighting\]: GradWeighted: alpha=7"),
        ('loss={name="grad_weighted", fixed_metric="fit"}', "is a GradWeightedLoss, whose terms"),
        ("weighting=3", "weighting: expected a table or a name, not 3"),
    ],
)
def test_faults_name_the_table(build: Callable[..., Run], override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"(?is){message}"):
        build(override)
