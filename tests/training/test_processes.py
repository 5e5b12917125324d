"""Fits that start processes of their own, as a script does."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, TrainConfig, Trainer
from perceptrain.callbacks import EarlyStopping
from perceptrain.errors import DataError, TrainingError
from perceptrain.optimizers import AdamLBFGS, NevergradOptimizer, SSBroyden
from perceptrain_core.registry.messages import raised_in

from ..forked import ForkServer

pytestmark = pytest.mark.usefixtures("forked_workers")

POINTS = {
    "ode": torch.linspace(0, 1, 16, dtype=torch.float64).reshape(-1, 1),
    "start": torch.zeros(2, 1, dtype=torch.float64),
}


def fit(nprocs: int, batch_size: int, folder: Path, **settings: Any) -> Trainer:
    """Train a PINN whose equations are what no pickle takes."""

    def ode(t: Tensor, u: nn.Module) -> Tensor:
        (du,) = torch.autograd.grad(u(t).sum(), t, create_graph=True)
        return du + u(t)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        pinn = PINN(FFNN([1, 8, 1]).double(), {"ode": ode, "start": lambda t, u: u(t) - 1})
    plain = {"max_iter": 3, "shuffle": False, "verbose": False, "tracking_tool": "csv"}
    plain |= {"all_reduce_metrics": True, "val_every": 1, "root_folder": folder}
    config = TrainConfig(**(plain | settings), nprocs=nprocs, batch_size=batch_size)
    optimizer = torch.optim.Adam(pinn.parameters(), lr=0.01)
    trainer = Trainer(pinn, optimizer, config, "mse", POINTS, POINTS)
    assert trainer.fit() == (pinn, optimizer)
    return trainer


def test_what_the_processes_trained_comes_back(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # Torch sets a variable of its own when an optimizer is first used.
    alone = fit(1, 8, tmp_path / "alone")
    environment, handlers = dict(os.environ), list(map(signal.getsignal, (2, 15)))
    stopping = EarlyStopping("val_epoch_end", 1, monitor="val_loss", patience=9)
    settings = {"callbacks": [stopping], "write_every": 1, "checkpoint_every": 1, "verbose": True}
    trainer = fit(2, 4, tmp_path / "two", print_every=1, progress=False, **settings)

    for one, other in zip(trainer.model.parameters(), alone.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(trainer.history, alone.history, rtol=1e-12, atol=1e-12)
    moments = [state["exp_avg"] for state in trainer.optimizer.state.values()]
    expected = [state["exp_avg"] for state in alone.optimizer.state.values()]
    torch.testing.assert_close(moments, expected, rtol=1e-12, atol=1e-12)
    assert trainer.global_step == alone.global_step == 6
    assert trainer.current_epoch == trainer.opt_result.iteration == 3
    assert trainer.opt_result.metrics == trainer.history[-1]
    assert stopping.best_value == min(row["val_loss"] for row in trainer.history)

    # One process wrote, and one printed.
    assert trainer.log_folder == tmp_path / "two"
    files = {path.name for path in trainer.log_folder.iterdir()}
    assert files >= {f"checkpoint_epoch_00000{epoch}.pt" for epoch in (1, 2, 3)}
    assert not (tmp_path / "two" / "run-2").exists()
    out, err = capfd.readouterr()
    assert out.count("epoch      3") == 1
    assert "Warning" not in err
    assert "module." not in str(list(trainer.state_dict()["model"]))

    # This process has not changed, and it trains on alone.
    assert dict(os.environ) == environment
    assert list(map(signal.getsignal, (2, 15))) == handlers
    trainer.config.nprocs, trainer.config.max_iter = 1, 4
    with pytest.warns(UserWarning, match="2 then, 1 now: the data are shared anew"):
        trainer.fit(resume=True)
    assert len(trainer.history) == 4
    assert trainer.history[3]["train_loss"] < trainer.history[2]["train_loss"]


@pytest.mark.slow
def test_what_a_run_makes_for_itself_comes_back(tmp_path: Path) -> None:
    settings = {"ema": 0.8, "lr_scheduler": "one_cycle", "accumulate": 2, "max_iter": 2}
    settings["lr_scheduler"] = {"name": "one_cycle", "max_lr": 0.1}
    alone, trainer = (fit(n, 8 // n, tmp_path / str(n), **settings) for n in (1, 2))

    def averages(trainer: Trainer) -> Any:
        assert trainer.averaged_model is not None
        return dict(trainer.averaged_model.named_parameters())

    torch.testing.assert_close(averages(trainer), averages(alone), rtol=1e-12, atol=1e-12)
    for average, weight in zip(averages(trainer).values(), trainer.model.parameters(), strict=True):
        assert torch.equal(average, weight)
    assert trainer.schedule is not None
    assert alone.schedule is not None
    assert trainer.schedule.scheduler.optimizer is trainer.optimizer
    assert trainer.schedule.state_dict() == alone.schedule.state_dict()
    assert trainer.optimizer.param_groups[0]["lr"] == alone.optimizer.param_groups[0]["lr"]
    # A second fit starts anew, from the rates and generators that the first has left.
    trainer.fit()
    assert len(trainer.history) == 2


def test_an_error_of_any_process_is_raised_here(tmp_path: Path) -> None:
    def loss_fn(batch: Any, model: nn.Module) -> Any:
        if os.environ.get("RANK") == "1":
            raise DataError("the second process has bad data")
        return model(batch[0]).square().mean(), {}

    config = TrainConfig(nprocs=2, max_iter=2, verbose=False, tracking_tool="none")
    trainer = Trainer(nn.Linear(2, 1), "adam", config, loss_fn, torch.randn(4, 2))
    with pytest.raises(DataError, match="second process") as error:
        trainer.fit()
    assert str(error.value) == "the second process has bad data"
    assert "In process 1" in error.value.__notes__[0]
    assert trainer.history == []


OWN_LOSS = """
import torch

def own_loss(batch, model):
    weight = {}["missing"]  # line 5
    return model(batch[0]).mean(), {}

class Odd(Exception):
    def __init__(self, first, second):  # cannot be unpickled
        super().__init__(f"{first} {second}")

def odd_loss(batch, model):
    raise Odd(1, 2)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "line"), [("own_loss", 5), ("odd_loss", 13)])
def test_an_error_of_a_process_names_the_file_and_line_of_the_user(
    here: Path, name: str, line: int
) -> None:
    Path("losses.py").write_text(OWN_LOSS)
    places = []
    for nprocs in (1, 2):
        config = TrainConfig(nprocs=nprocs, max_iter=1, verbose=False, tracking_tool="none")
        trainer = Trainer(nn.Linear(2, 1), "adam", config, f"./losses.py:{name}", torch.ones(4, 2))
        with pytest.raises(Exception, match=r"missing|1 2") as error:
            trainer.fit()
        places.append(raised_in(error.value))
    assert places == [f" (losses.py, line {line})"] * 2


FORKING = str(Path(__file__).parents[1] / "forking.py")
SCRIPT = """
import sys, time, torch
from torch import nn
from perceptrain import Trainer, TrainConfig, Callback

def loss_fn(batch, model):
    return model(batch[0]).square().mean(), {}

def tell(trainer, config, writer):
    if trainer.opt_result.rank == 0:
        print("epoch", trainer.current_epoch, flush=True)

model = nn.Linear(2, 1)
config = TrainConfig(max_iter=10**6, nprocs=2, batch_size=2, progress=False, tracking_tool="none",
                     callbacks=[Callback(callback=tell)], checkpoint_every=10**6)
trainer = Trainer(model, "adam", config, loss_fn, torch.randn(8, 2))
before = model.weight.detach().clone()
trainer.fit()
changed = not torch.equal(before, model.weight)
print("ended", trainer.interrupted, len(trainer.history) > 2, changed)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_and_keeps_what_was_reached(
    tmp_path: Path, forks: ForkServer, number: signal.Signals
) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    with forks.start(FORKING, "script.py", cwd=tmp_path) as process:
        while process.stdout.readline() != "epoch 5\n":
            assert process.poll() is None
        process.send_signal(number)
        started = time.monotonic()
        out, err = process.communicate(timeout=60)
    assert "ended True True True" in out, err
    assert time.monotonic() - started < 30
    assert process.returncode == 0
    # Both have written down their place in it, which need not be the end of an epoch.
    (saved,) = (tmp_path / "runs").glob("checkpoint_epoch_*.pt")
    places = torch.load(saved, weights_only=True)["processes"]
    assert len(places) == 2
    assert places[0]["position"]["consumed"] == places[1]["position"]["consumed"]


def test_what_cannot_be_copied_is_told(tmp_path: Path) -> None:
    config = TrainConfig(nprocs=2, verbose=False)
    batches = (torch.randn(2, 2) for _ in range(3))
    trainer = Trainer(nn.Linear(2, 1), "adam", config, lambda b, m: (m(b).mean(), {}), batches)
    with pytest.raises(TrainingError, match=r"cannot be copied .*generator.*torchrun"):
        trainer.fit()


def test_a_search_without_gradients_is_refused() -> None:
    model = nn.Linear(2, 1)
    search = NevergradOptimizer(model.parameters(), "OnePlusOne", budget=10)
    trainer = Trainer(model, search, TrainConfig(nprocs=2), "mse", torch.randn(4, 2))
    with pytest.raises(
        TrainingError, match=r"NevergradOptimizer cannot train in several.*nprocs=1"
    ):
        trainer.fit()


def test_an_optimizer_is_needed() -> None:
    trainer = Trainer(nn.Linear(2, 1), None, TrainConfig(nprocs=2), "mse", torch.randn(4, 2))
    with pytest.raises(TrainingError, match="needs an optimizer"):
        trainer.fit()


@pytest.mark.parametrize("kind", [torch.optim.LBFGS, AdamLBFGS, SSBroyden])
def test_optimizers_that_evaluate_the_loss_are_refused(kind: Any) -> None:
    model = nn.Linear(2, 1)
    options = {"switch_epoch": 2} if kind is AdamLBFGS else {}
    optimizer = kind(model.parameters(), **options)
    trainer = Trainer(model, optimizer, TrainConfig(nprocs=2), "mse", torch.randn(4, 2))
    with pytest.raises(TrainingError, match=r"cannot train in several processes.*nprocs=1"):
        trainer.fit()
