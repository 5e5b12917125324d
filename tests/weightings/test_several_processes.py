"""Each weighting in two processes, compared with one that has the rows of all."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, Counted, SkipBatch, TrainConfig, Trainer, WeightedLoss, registry
from perceptrain.callbacks import SaveCheckpoint
from perceptrain.errors import LossContractError
from perceptrain_core.engine import make_engine
from perceptrain_core.engine.launch import run_in_processes

from ..shared import pickled_by_value

SIZES = (3, 5, 2, 4, 6, 3)  # rows of the batches
OPTIONS: dict[str, dict[str, Any]] = {
    "fixed": {"weights": {"fit": 2.0}},
    "grad_weighted": {"fixed_metric": "fit"},
    "grad_norm_balance": {"every": 1},
    "gradnorm": {},
    "relobralo": {"look_back": 0.5, "momentum": 0.6},
    "softadapt": {"beta": 5.0, "loss_weighted": True},
    "dwa": {"window": 2},
    "uncertainty": {},
    "random": {},
}
RESUMED = ("relobralo", "softadapt", "dwa", "random", "uncertainty")
NTK = {"every": 1, "residuals": lambda batch, model: residuals(batch, model)}


def batches(size: int) -> list[Any]:
    """The batches of several processes, as one process has them."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(sum(SIZES), 2, generator=generator, dtype=torch.float64).split(SIZES)
    whole = [torch.cat(rows[i : i + size]) for i in range(0, len(SIZES), size)]
    return [(x, (x[:, :1] - x[:, 1:]).sin()) for x in whole]


def residuals(batch: Any, model: nn.Module) -> dict[str, Tensor]:
    x, y = batch
    return {"fit": 3 * (model(x) - y), "size": model(x), "slope": model(x + 1) - model(x)}


def terms(batch: Any, model: nn.Module) -> Any:
    parts = {name: values.square().mean() for name, values in residuals(batch, model).items()}
    return sum(parts.values()), parts


def counted_terms(batch: Any, model: nn.Module) -> Any:
    """Terms with counts of their own: some rows, all rows, and a sum."""
    x, y = batch
    mask = x[:, :1] > -0.5
    number = mask.sum()
    parts = {
        "fit": (model(x) - y).where(mask, 0.0).square().sum() / number.clamp(min=1),
        "size": model(x).square().mean(),
        "slope": (model(x + 1) - model(x)).square().sum() / 10,
    }
    counts = {"fit": number, "size": len(x), "slope": None}
    return sum(parts.values()), Counted(parts, counts, dict.fromkeys(parts, 1.0))


def many_terms(batch: Any, model: nn.Module) -> Any:
    """More terms than travel with the first exchange."""
    x, y = batch
    parts = {f"term {k}": (model(x) - k * y).square().mean() for k in range(40)}
    return sum(parts.values()), parts


LOSSES = {"terms": terms, "counted": counted_terms, "many": many_terms}
CASES = {
    **{f"{name}, counted": (name, options, "counted") for name, options in OPTIONS.items()},
    "grad_norm_balance, terms": ("grad_norm_balance", {"every": 1}, "terms"),
    "softadapt, many": ("softadapt", {}, "many"),
    "ntk, terms": ("ntk", NTK, "terms"),
}


def train(name: str, options: dict[str, Any], loss_fn: Any, size: int) -> dict[str, Any]:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = FFNN([2, 6, 1], nn.Tanh()).double()
    loss = WeightedLoss(loss_fn, {"name": name, **options}).double()
    optimizer = torch.optim.SGD([*model.parameters(), *loss.parameters()], lr=0.02)
    config = TrainConfig(max_iter=2, seed=3, verbose=False, tracking_tool="none")
    trainer = Trainer(model, optimizer, config, loss)
    trainer.fit(batches(size))
    return {
        "weights": loss.metric_weights,
        "memory": {k: v for k, v in loss.weighting.memory.items() if k != "terms"},
        "parameters": torch.cat([p.detach().reshape(-1) for p in model.parameters()]),
        "history": [dict(row) for row in trainer.history],
        "random": torch.rand(2),
    }


def resumed(name: str, options: dict[str, Any], folder: Path) -> Any:
    """Return the weights of a run, and of one that was stopped inside its second epoch."""

    def run(steps: int | None, run_folder: str, resume: bool = False) -> Any:
        with torch.random.fork_rng():
            torch.manual_seed(2)
            model = FFNN([2, 6, 1], nn.Tanh()).double()
        loss = WeightedLoss(terms, {"name": name, **options}).double()
        config = TrainConfig(
            max_iter=2,
            max_steps=steps,
            seed=3,
            checkpoint_every=1,
            callbacks=[SaveCheckpoint("train_batch_end", 1)],
            log_folder=folder / name / run_folder,
            verbose=False,
            tracking_tool="none",
        )
        trainer = Trainer(model, "adam", config, loss)
        trainer.fit(batches(1), resume=resume)
        weights = nn.utils.parameters_to_vector(model.parameters()).detach()
        return weights, loss.metric_weights, trainer.history

    whole = run(None, "whole")
    run(4, "stopped")
    return whole, run(None, "stopped", resume=True)


def other_terms(batch: Any, model: nn.Module) -> Any:
    """Name a term after the process, in two processes from the second update on."""
    parts = dict(terms(batch, model)[1])
    if len(batch[0]) in (2, 4) or make_engine().world_size == 3:
        parts[f"own {make_engine().rank}"] = parts.pop("slope")
    return sum(parts.values()), parts


def more_terms(batch: Any, model: nn.Module) -> Any:
    """Return more terms in one process, so many that some travel in a second exchange."""
    return (many_terms if make_engine().rank else terms)(batch, model)


def skipping(batch: Any, model: nn.Module) -> Any:
    """Skip a batch of one process, at an update of the weights or between two."""
    if len(batch[0]) == 4 and make_engine().world_size > 1:
        raise SkipBatch
    return terms(batch, model)


def run_cases(folder: Path) -> Any:
    torch.set_num_threads(1)
    engine = make_engine()
    found = {name: train(n, o, LOSSES[kind], 1) for name, (n, o, kind) in CASES.items()}
    for name in RESUMED:
        found[f"{name}, resumed"] = resumed(name, OPTIONS[name], folder)
    for every in (1, 2):
        with pytest.warns(UserWarning, match="skipped"):
            skipped = train("grad_norm_balance", {"every": every}, skipping, 1)
        found[f"skips {every}"] = skipped
    for loss in (other_terms, more_terms):
        try:
            found[loss.__name__] = train("softadapt", {"every": 1}, loss, 1)
        except LossContractError as error:
            found[loss.__name__] = str(error)
    return engine.gather(found)


@pytest.fixture(scope="module")
def found(tmp_path_factory: Any, forked_workers: None) -> Any:
    """What each case gave in each process, and the number of processes."""
    with pickled_by_value(__name__):
        folder = tmp_path_factory.mktemp("weightings")
        return run_in_processes(run_cases, 2, folder), 2


def close(one: Any, other: Any) -> None:
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_weights_are_those_of_one_process_with_all_rows(found: Any, name: str) -> None:
    everywhere, size = found
    scheme, options, kind = CASES[name]
    alone = train(scheme, options, LOSSES[kind], size)
    for each in everywhere:
        close(each[name]["weights"], alone["weights"])
        close(each[name]["memory"], alone["memory"])
        close(each[name]["parameters"], alone["parameters"])
        close(each[name]["history"], alone["history"])
    draws = [each[name]["random"] for each in everywhere]
    assert not torch.equal(draws[0], draws[1])  # each process keeps a generator of its own


@pytest.mark.slow
@pytest.mark.parametrize("name", RESUMED)
def test_a_run_resumes_inside_an_epoch_with_the_state_of_its_weighting(
    found: Any, name: str
) -> None:
    everywhere, _ = found
    for each in everywhere:
        whole, rest = each[f"{name}, resumed"]
        assert torch.equal(whole[0], rest[0])
        assert whole[1:] == rest[1:]


@pytest.mark.parametrize("every", [1, 2])
def test_a_batch_that_one_process_skips_leaves_all_equal(found: Any, every: int) -> None:
    everywhere, _ = found
    for each in everywhere:
        close(each[f"skips {every}"]["weights"], everywhere[0][f"skips {every}"]["weights"])
        close(each[f"skips {every}"]["parameters"], everywhere[0][f"skips {every}"]["parameters"])


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("other_terms", r"'fit', 'size', 'own 0' in process 0, but 'fit', 'size', 'own 1' in pro"),
        ("more_terms", r"'fit', 'size', 'slope' in process 0, but 'term 0', .* in process 1\. "),
    ],
)
def test_other_terms_in_another_process_are_an_error_in_all(
    found: Any, loss: str, message: str
) -> None:
    everywhere, _ = found
    for each in everywhere:
        assert re.search(message, each[loss])


def test_every_built_in_weighting_is_tested() -> None:
    core = {e.name for e in registry().weightings.values() if e.distribution == "perceptrain-core"}
    assert core == {name for name, *_ in CASES.values()}
