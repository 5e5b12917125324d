"""Sharded runs with everything switched on, continued in one, two, three and again one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, TrainConfig, Trainer
from perceptrain.callbacks import KeepBest
from perceptrain_core.checkpoints.folder import list_checkpoints
from perceptrain_core.checkpoints.kinds import read_checkpoint
from perceptrain_core.engine import make_engine
from perceptrain_core.engine.launch import run_in_processes
from perceptrain_core.training.resume import shared_reading

# Processes have the filters of warnings of the one that starts them.
pytestmark = [
    pytest.mark.filterwarnings("ignore:FSDP2-wrapped module"),
    pytest.mark.filterwarnings("ignore:.*batch_size", "ignore:.*processes"),
]

DTYPES = (torch.int16, torch.uint16, torch.float8_e4m3fn, torch.bfloat16, torch.bool)
ROWS, CHECKED = 24, 27  # of training; of validation, which no number of processes divides evenly


def data(rows: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(rows, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, (x[:, :1] - x[:, 1:]).sin()


def train(epochs: int, folder: Path, processes: int = 1, resume: Any = False) -> dict[str, Any]:
    """Train a run; return its weights, its best epoch, and what the first process remembers."""
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = FFNN([2, 8, 7, 1], nn.Tanh()).double()
    best = KeepBest("val_loss")
    config = TrainConfig(
        max_iter=epochs,
        batch_size=12 // processes,
        shuffle=False,
        verbose=False,
        tracking_tool="none",
        root_folder=folder,
        strategy="fsdp",
        shard_modules=10,
        ema=0.5,
        val_every=1,
        checkpoint_every=1,
        callbacks=[best],
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.4)
    trainer = Trainer(model, optimizer, config, "mse", data(ROWS), data(CHECKED))
    trainer.fit(resume=resume)
    newest = list_checkpoints(trainer.log_folder)[0]
    state = read_checkpoint(newest)
    return {
        "restored": dict(model.state_dict()),
        "best_epoch": best.best_epoch,
        "history": list(trainer.history),
        "model": dict(state["model"]),
        "averaged_model": dict(state["averaged_model"]),
        "optimizer": state["optimizer"]["state"],
        "folder": trainer.log_folder,
        "kind": newest.suffix,
    }


def continued(epochs: int, folder: Path, processes: int, resume: Path) -> dict[str, Any]:
    shared_reading._LARGE = 64  # bytes, so that the tensors of this small model travel alone
    return train(epochs, folder, processes, resume) | {"sent": sent()}


def sent() -> list[bool]:
    """Return for each process whether it gets tensors of all dtypes from the first."""
    engine, tensors = make_engine(), list[Tensor]()
    state = {"all": [torch.arange(64).to(dtype) for dtype in DTYPES]}
    outline = shared_reading._taken_out(state, tensors)
    assert len(tensors) == len(DTYPES)
    received = shared_reading._sent(engine, outline, tensors, None)
    pairs = zip(received["all"], state["all"], strict=True)
    same = [a.dtype == b.dtype and torch.equal(a.float(), b.float()) for a, b in pairs]
    return engine.gather(all(same))


@pytest.fixture(scope="module")
def chain(forked_workers: None, tmp_path_factory: Any) -> list[dict[str, Any]]:
    """A run in one process; and the parts of the same run in one, two, three, and one."""
    folder = tmp_path_factory.mktemp("chain")
    whole, part = train(8, folder / "whole"), train(2, folder / "1")
    parts = [part]
    for epochs, processes in ((4, 2), (6, 3)):
        own = folder / str(processes)
        last = parts[-1]["folder"]
        parts.append(run_in_processes(continued, processes, epochs, own, processes, last))
    return [whole, *parts, train(8, folder / "last", resume=parts[-1]["folder"])]


@pytest.mark.slow
@pytest.mark.parametrize(
    "what", ["model", "averaged_model", "optimizer", "history", "best_epoch", "restored"]
)
def test_other_numbers_of_processes_continue_a_run(what: str, chain: list[dict[str, Any]]) -> None:
    whole, *_, last = chain
    torch.testing.assert_close(last[what], whole[what], rtol=1e-9, atol=1e-11)


@pytest.mark.slow
def test_tensors_of_all_dtypes_are_sent(chain: list[dict[str, Any]]) -> None:
    assert chain[2]["sent"] == [True] * 2
    assert chain[3]["sent"] == [True] * 3


def test_the_best_weights_come_from_another_number_of_processes(
    chain: list[dict[str, Any]],
) -> None:
    """Otherwise the comparison above would not show that they are handed on."""
    whole, first, two, three, _ = chain
    losses = [row["val_loss"] for row in whole["history"]]
    assert whole["best_epoch"] == 1 + losses.index(min(losses))
    assert [each["kind"] for each in (first, two, three)] == [".pt", ".dcp", ".dcp"]
