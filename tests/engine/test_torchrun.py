"""Runs that ``torchrun`` starts: faults, restarts, and several machines."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import torch

from ..forked import ForkedProcess, ForkServer

pytestmark = pytest.mark.slow

TORCHRUN = (str(Path(__file__).parents[1] / "forking.py"), "-m", "torch.distributed.run")

FAULT = """
import os, signal, sys, time, torch
from torch import nn
from perceptrain import TrainConfig, Trainer

def loss_fn(batch, model):
    loss = model(batch[0]).square().mean()
    calls.append(1)
    if os.environ["RANK"] == "1" and len(calls) == 3:
        print("fault", flush=True)
        FAULT
    return loss, {}

calls = []
config = TrainConfig(max_iter=4, verbose=False, tracking_tool="none", process_timeout=3)
Trainer(nn.Linear(2, 1), "adam", config, loss_fn, torch.ones(8, 2)).fit()
"""
# torchrun waits for half a minute for a process that takes no notice of its signal.
FAULTS = {
    "signal.signal(signal.SIGTERM, signal.SIG_DFL), time.sleep(600)": (
        r"No answer from process 1 within 3 s \(waiting: process 0 in",
        r"Root Cause[\s\S]* rank +: 0 [\s\S]*No answer from process 1",
    ),
    "raise ValueError('bad data')": (
        r"ValueError: bad data\s+In process 1 of 2\.",
        r"rank +: 1 \(local_rank: 1\)\n[\s\S]*ValueError: bad data",
    ),
}


Start = Callable[..., ForkedProcess]


@pytest.fixture
def start(forks: ForkServer) -> Iterator[Start]:
    """Start torchrun, and kill it at the end if it is left."""
    with ExitStack() as started:

        def begin(*arguments: str, cwd: Path, **variables: str) -> ForkedProcess:
            env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | variables
            return started.enter_context(forks.start(*TORCHRUN, *arguments, cwd=cwd, env=env))

        yield begin


def test_a_fault_names_the_process(start: Start, tmp_path: Path) -> None:
    """The run of one fault ends while the others do."""
    started = {}
    for number, fault in enumerate(FAULTS):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        (folder / "train.py").write_text(FAULT.replace("FAULT", fault))
        started[fault] = start("--standalone", "--nproc-per-node", "2", "train.py", cwd=folder)
    for fault, (said, root_cause) in FAULTS.items():
        out, err = started[fault].communicate(timeout=100)
        text = out + err
        assert "\nfault\n" in f"\n{text}", text
        assert re.search(said, text), text
        assert re.search(root_cause, text), text


# It does not end before its fault, unless it has few epochs.
RESTARTED = """
import os, sys, time, torch
from pathlib import Path
from torch import nn
from perceptrain import Callback, TrainConfig, Trainer

def note(trainer, config, writer):
    epoch, machine = trainer.current_epoch, os.environ.get("MACHINE")
    Path(f"pid-{os.environ['RANK']}").write_text(f"{os.getpid()} {machine} {epoch}")
    alone = trainer.engine.world_size == 1 and not Path("fault").exists()
    time.sleep(0.5 if alone and "MACHINE" in os.environ else 0.02)
    until = time.monotonic() + 30
    last = epoch > int(sys.argv[1]) - 4
    while last and not Path("fault").exists() and time.monotonic() < until:
        time.sleep(0.02)

torch.manual_seed(0)
x = torch.randn(24, 2, dtype=torch.float64)
model = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.2), nn.Linear(8, 1)).double()
config = TrainConfig(
    max_iter=int(sys.argv[1]), batch_size=4, seed=1, checkpoint_every=1, resume=True,
    log_folder="run", tracking_tool="none", verbose=False,
    callbacks=[Callback("train_batch_end", callback=note)],
)
trainer = Trainer(model, {"name": "adam", "lr": 0.01}, config, "mse", (x, x[:, :1]))
trainer.fit()
if trainer.engine.rank == 0:
    weights = torch.cat([p.detach().flatten() for p in model.parameters()])
    torch.save({"weights": weights, "size": trainer.engine.world_size,
                "losses": [row["train_loss"] for row in trainer.history]}, "result.pt")
"""


def kill_random(folder: Path, draw: random.Random, ranks: int) -> None:
    """Wait until all processes train, and kill one a moment later."""
    pids = [folder / f"pid-{rank}" for rank in range(ranks)]
    while not all(pid.exists() for pid in pids):
        time.sleep(0.05)
    time.sleep(draw.uniform(0, 0.7))
    numbers = [int(pid.read_text().split()[0]) for pid in pids]
    for pid in pids:
        pid.unlink(missing_ok=True)
    with suppress(ProcessLookupError):
        os.kill(draw.choice(numbers), signal.SIGKILL)


def test_a_restart_ends_as_a_run_that_was_never_stopped(start: Start, tmp_path: Path) -> None:
    options = ("--standalone", "--nproc-per-node", "2", "--max-restarts", "5", "train.py", "6")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    killed, started = [], []
    for folder in whole, broken:
        folder.mkdir()
        (folder / "train.py").write_text(RESTARTED)
        started.append(start(*options, cwd=folder))
    (whole / "fault").touch()
    kill_random(broken, random.Random(7), 2)
    (broken / "fault").touch()
    for process in started:
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        killed.append("SIGKILL" in err or "exitcode: -9" in err)
    assert killed == [False, True]
    one, other = (torch.load(folder / "result.pt", weights_only=True) for folder in (whole, broken))
    assert torch.equal(one["weights"], other["weights"])
    assert one["losses"] == other["losses"]
    assert len(one["losses"]) == 6


def test_a_machine_joins_a_run_and_leaves_it(start: Start, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(RESTARTED)
    waits = "last_call_timeout=2,keep_alive_interval=3,keep_alive_max_attempt=5"
    options = ["--nnodes", "1:2", "--nproc-per-node", "1", "--max-restarts", "5"]
    options += ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:29517"]
    options += ["--rdzv-conf", waits, "--local-addr", "localhost", "train.py", "14"]
    # Without it, torch does not tell who joins later where the first machine listens.
    each = {"cwd": tmp_path, "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    first = start(*options, **each, MACHINE="first")
    _wait_for(first, lambda: any((tmp_path / "runs" / "run").glob("checkpoint_epoch_*.pt")))
    second = start(*options, **each, MACHINE="second")
    pids = [tmp_path / f"pid-{rank}" for rank in range(2)]
    _wait_for(first, lambda: pids[1].exists())
    joined = epoch_of(pids[1])
    _wait_for(first, lambda: epoch_of(pids[1]) > joined)  # both have saved the run together
    (child,) = (pid.read_text().split()[0] for pid in pids if "second" in pid.read_text())
    for number in (second.pid, int(child)):
        os.kill(number, signal.SIGKILL)
    (tmp_path / "fault").touch()
    _, err = first.communicate(timeout=100)
    assert first.returncode == 0, err
    assert err.index("1 then, 2 now") < err.index("2 then, 1 now")
    result = torch.load(tmp_path / "result.pt", weights_only=True)
    assert result["size"] == 1
    assert len(result["losses"]) == 14


def epoch_of(pid: Path) -> int:
    """Return the epoch in which a process wrote its number; 0 while it writes."""
    text = pid.read_text()
    return int(text.split()[2]) if text else 0


def _wait_for(process: ForkedProcess, condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.05)


RUN_FILE = """
[model]
name = "ffnn"
layers = [2, 8, 1]
[data]
file = "rows.csv"
inputs = ["a", "b"]
labels = ["y"]
[train]
max_iter = 2
batch_size = BATCH
seed = 0
shuffle = false
dtype = "float64"
log_folder = "run"
"""


def test_a_run_file_trains_in_two_processes(
    start: Start, forks: ForkServer, tmp_path: Path
) -> None:
    rows = [(n % 7, n % 5, n % 7 + n % 5) for n in range(46)]
    table = "a,b,y\n" + "".join(f"{a},{b},{y}\n" for a, b, y in rows)
    for name, batch in ("one", 10), ("two", 5):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.csv").write_text(table)
        (tmp_path / name / "run.toml").write_text(RUN_FILE.replace("BATCH", str(batch)))
    alone = forks.run("-m", "perceptrain", "train", "run.toml", cwd=tmp_path / "one")
    assert alone.returncode == 0, alone.stderr
    options = ("--standalone", "--nproc-per-node", "2", "-m", "perceptrain", "train", "run.toml")
    process = start(*options, cwd=tmp_path / "two")
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    assert out.count("runs/run") == alone.stdout.count("runs/run")  # one process prints
    one, two = (tmp_path / name / "runs" / "run" for name in ("one", "two"))
    assert {path.name for path in one.iterdir()} == {path.name for path in two.iterdir()}
    tables = [(run / "metrics.csv").read_text().split()[1:] for run in (one, two)]
    found = [[float(cell) for line in table for cell in line.split(",")] for table in tables]
    assert found[0] == pytest.approx(found[1], rel=1e-12)


@pytest.fixture
def machines() -> Iterator[list[str]]:
    """Two network namespaces with an address each, connected by a cable."""
    names = [f"perceptrain-{os.getpid()}-{n}" for n in (1, 2)]
    cable = [f"pt{os.getpid() % 100_000}-{n}" for n in (1, 2)]

    def ip(*arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", cable[0], "type", "veth", "peer", "name", cable[1])
        for n, (name, end) in enumerate(zip(names, cable, strict=True), 1):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "link", "set", end, "name", "eth0")
            ip("-n", name, "address", "add", f"10.213.7.{n}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", name, "link", "set", device, "up")
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no network namespaces here: {error}")
    else:
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def test_two_machines_train_together(start: Start, machines: list[str], tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(RESTARTED)
    (tmp_path / "fault").touch()
    options = ["--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d"]
    options += ["--rdzv-endpoint", "10.213.7.1:29500"]
    agents = []
    for n, name in enumerate(machines, 1):
        # Both have the name of this machine, by which the one with the rendezvous is told.
        address = ["--rdzv-conf", f"is_host={n == 1}", "--local-addr", f"10.213.7.{n}"]
        variables = {"NAMESPACE": name, "GLOO_SOCKET_IFNAME": "eth0"}
        agents.append(start(*options, *address, "train.py", "2", cwd=tmp_path, **variables))
    texts = [agent.communicate(timeout=100)[1] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], texts
    assert torch.load(tmp_path / "result.pt", weights_only=True)["size"] == 2
