"""A process that starts runs, kills them, and lets them resume; test_killed.py talks to it.

torch is imported once: each life of a run is a fork. What is asked for comes as a line of JSON on
standard input, and a line of JSON on standard output tells what happened.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from select import select
from socket import socket, socketpair
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from perceptrain import Callback, DictDataLoader, TrainConfig, Trainer, to_dataloader
from perceptrain.callbacks import (
    EarlyStopping,
    LRSchedulerCosineAnnealing,
    R3Sampling,
    SaveCheckpoint,
)
from perceptrain.data import GenerativeIterableDataset, R3Dataset
from perceptrain.loss import GradWeightedLoss
from perceptrain.optimizers import AdamLBFGS, SequentialOptimizer

EPOCHS, WIDTH = 6, 160


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows() -> tuple[Tensor, Tensor]:
    x = torch.randn(40, 2, generator=generator(1))
    return x, (x[:, :1] - x[:, 1:]).sin()


def own_generator() -> dict[str, Any]:
    data = TensorDataset(*rows())
    loader = DataLoader(data, batch_size=6, shuffle=True, generator=generator(11))
    return {"data": loader, "accumulate": 2, "grad_clip": 0.1}


def two_terms(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    error = model(batch[0]) - batch[1]
    terms = {"square": error.square().mean(), "absolute": error.abs().mean()}
    return terms["square"] + terms["absolute"], terms


def of_points(batch: Tensor, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    return (model(batch) - batch.sum(1, keepdim=True).sin()).square().mean(), {}


def r3() -> dict[str, Any]:
    points = R3Dataset(lambda n: torch.rand(n, 2), n_samples=40)
    moving = R3Sampling(points, lambda p, m: (m(p) - p.sum(1, keepdim=True)).abs(), called_every=2)
    return {"data": points, "val": None, "loss_fn": of_points, "callbacks": [moving]}


def generative() -> dict[str, Any]:
    data = DataLoader(GenerativeIterableDataset(lambda n: torch.rand(n, 2)), batch_size=6)
    return {"data": data, "val": None, "loss_fn": of_points, "max_iter": 24}


def lbfgs() -> dict[str, Any]:
    options = {"max_iter": 3, "history_size": 4}
    return {
        "optimizer": lambda params: AdamLBFGS(params, 5, {"lr": 1e-3}, options),
        "callbacks": [],
    }


def second_order() -> dict[str, Any]:
    """A line search needs a loss without noise, and a matrix that is soon written."""
    stages = [{"name": "adam", "lr": 1e-3}, {"name": "ssbroyden", "max_iter": 2}]
    return {
        "model": lambda: nn.Sequential(nn.Linear(2, 60), nn.Tanh(), nn.Linear(60, 1)).double(),
        "optimizer": lambda params: SequentialOptimizer(params, stages, [5]),
        "callbacks": [],
        "dtype": torch.float64,
        "batch_size": 20,
        "max_iter": 14,
    }


def small(*optimizers: Any, milestones: Any = ()) -> dict[str, Any]:
    """A sequence of optimizers, with a step in each epoch."""
    return {
        "model": lambda: nn.Sequential(nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1)).double(),
        "optimizer": lambda params: SequentialOptimizer(params, optimizers, milestones),
        "callbacks": [],
        "val": None,
        "dtype": torch.float64,
        "batch_size": 40,
        "max_iter": 12,
    }


#: What differs from `Life.make` in each kind of run.
VARIANTS: dict[str, Callable[[], dict[str, Any]]] = {
    "plain": dict,
    "own generator": own_generator,
    "infinite": lambda: {
        "data": to_dataloader(*rows(), batch_size=6, infinite=True),
        "max_iter": 24,
        "ema": 0.9,
    },
    "several loaders": lambda: {
        "data": DictDataLoader(
            {
                "a": to_dataloader(rows()[0], batch_size=6, shuffle=True),
                "b": to_dataloader(rows()[0][:9], batch_size=4, shuffle=True),
            }
        ),
        "val": None,
        "loss_fn": lambda batch, model: of_points(torch.cat([batch["a"], batch["b"]]), model),
    },
    "background": lambda: {"async_checkpoints": True},
    "r3": r3,
    "generative": generative,
    "lbfgs": lbfgs,
    "second order": second_order,
    "plateau": lambda: small(
        {"name": "sgd", "lr": 0.1},
        {"name": "ssbroyden", "max_iter": 2},
        milestones=[{"patience": 1, "threshold": 0.1}],
    ),
    "least squares": lambda: small(
        "adam",
        *({"name": "gauss_newton", "method": method} for method in ("lm", "engd", "spring")),
        milestones=[3, 6, 9],
    ),
    "of plugins": lambda: small(
        "soap", "muon_adamw", "schedule_free_adamw", "sam", milestones=[3, 6, 9]
    ),
    "weighted": lambda: {
        "loss_fn": GradWeightedLoss(None, two_terms, fixed_metric="square", every=2)
    },
}


def noisy_net() -> nn.Module:
    """A network with buffers and random numbers, wide enough for a write to last."""
    return nn.Sequential(
        nn.Linear(2, WIDTH),
        nn.BatchNorm1d(WIDTH),
        nn.Tanh(),
        nn.Dropout(0.2),
        nn.Linear(WIDTH, WIDTH),
        nn.Tanh(),
        nn.Linear(WIDTH, 1),
    )


def make(
    report: Callback,
    *,
    data: Any = None,
    val: Any = (),
    loss_fn: Any = "mse",
    model: Callable[[], nn.Module] | None = None,
    optimizer: Callable[..., Any] = torch.optim.Adam,
    callbacks: list[Callback] | None = None,
    **settings: Any,
) -> Trainer:
    """A trainer with everything that has a state."""
    network = noisy_net() if model is None else model()
    usual = [LRSchedulerCosineAnnealing("train_batch_end", 1, 20, 1e-4)]
    stopping = EarlyStopping(monitor="train_loss", patience=99)
    saving = SaveCheckpoint("train_batch_end", 3)
    config = TrainConfig(
        **{
            "max_iter": EPOCHS,
            "batch_size": 6,
            "seed": 7,
            "verbose": False,
            "tracking_tool": "csv",
            "write_every": 1,
            "checkpoint_every": 1,
            "keep_checkpoints": 3,
            "val_every": 2 if val is not None else 0,
            "callbacks": [report, *(usual if callbacks is None else callbacks), stopping, saving],
            **settings,
        }
    )
    data = rows() if data is None else data
    validation = rows() if val == () else val
    parts = network, optimizer(network.parameters())
    return Trainer(*parts, config, loss_fn, data, validation)


def live(variant: str, resume: bool, line: socket) -> None:
    """One life of a run, in a process of its own: until it is complete, or killed.

    Each batch is told, and the run waits to be told to go on, so that a slow machine kills it as
    often as a fast one.
    """

    def tell(*_: Any) -> None:
        line.send(b".")
        line.recv(1)

    torch.manual_seed(3)
    trainer = make(Callback("train_batch_end", callback=tell), **VARIANTS[variant]())
    trainer.fit(resume=resume)
    torch.save(trainer.state_dict(), "final.pt")


def start(variant: str, folder: Path, resume: bool) -> tuple[int, socket]:
    """Fork; give the number of the process and the line to it."""
    here, there = socketpair()
    process = os.fork()
    if process:
        there.close()
        return process, here
    here.close()
    try:
        os.chdir(folder)
        live(variant, resume, there)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def go_on(line: socket) -> bool:
    """Wait for the next batch, and let the run go on; false if it is complete."""
    if not line.recv(1):
        return False
    line.send(b".")
    return True


def unfinished(folder: Path, process: int) -> list[Path]:
    return [*folder.rglob(f".checkpoint*.{process}")]


def wait_to_kill(
    process: int, line: socket, folder: Path, batches: int, chance: random.Random
) -> None:
    """Wait for so many batches, and then for a while by chance, or until it writes."""
    for _ in range(batches):
        if not go_on(line):
            return
    if chance.random() < 0.4:
        time.sleep(chance.uniform(0, 0.02))
        return
    for _ in range(3):  # one of them is followed by a checkpoint
        while not select([line], [], [], 0)[0]:
            if unfinished(folder, process):
                return
        if not go_on(line):
            return


def kill_often(variant: str, folder: Path, kills: int, seed: int) -> dict[str, Any]:
    """Let a run resume until it is complete, and kill it so many times on the way."""
    chance = random.Random(seed)
    told: dict[str, Any] = {"killed": 0, "in a write": 0, "left over": 0, "failed": False}
    done = False
    while not done:
        first = not told["killed"]
        process, line = start(variant, folder, resume=not first)
        if told["killed"] < kills:
            # At first until there is a checkpoint; later also while it resumes.
            batches = chance.randrange(4 if first else 0, 8)
            wait_to_kill(process, line, folder, batches, chance)
            os.kill(process, signal.SIGKILL)
        while told["killed"] == kills and go_on(line):
            pass
        status = os.waitpid(process, 0)[1]
        line.close()
        if os.WIFSIGNALED(status):
            told["killed"] += 1
            told["in a write"] += len(unfinished(folder, process))
            told["left over"] = max(told["left over"], len([*folder.rglob(".checkpoint*")]))
        done = os.WIFEXITED(status)
        told["failed"] = done and os.WEXITSTATUS(status) != 0
    return told


def main() -> None:
    torch.set_num_threads(1)
    # Only a loss of power would show the difference.
    os.fsync = lambda _: None
    # What a first step would import is imported once, too.
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        make(Callback("train_batch_end", callback=lambda t, c, w: None), max_iter=1).fit()
    for line in sys.stdin:
        print(json.dumps(kill_often(**asked(line))), flush=True)


def asked(line: str) -> dict[str, Any]:
    wish = json.loads(line)
    return wish | {"folder": Path(wish["folder"])}


if __name__ == "__main__":
    main()
