"""Memory and time of a step in two processes: DDP, sharded, and a loop with fully_shard.

    python -m benchmarks.sharded_memory

Each way trains a network of 100 million parameters with AdamW, and prints what a process holds in
memory between two steps, its peak during a step, both without what Python and torch need before
there is a model, and the time of a step.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn.functional import mse_loss

from perceptrain import Callback, TrainConfig, Trainer
from perceptrain_core.engine.launch import run_in_processes

WIDTH, LAYERS, ROWS, STEPS = 2896, 12, 16, 5
#: The settings of the trainer; the last way is a hand-written loop.
WAYS: dict[str, dict[str, Any]] = {
    "ddp": {"strategy": "ddp"},
    "fsdp": {"strategy": "fsdp"},
    "fsdp, reshard_after_forward=False": {"strategy": "fsdp", "reshard_after_forward": False},
    "fully_shard": {},
}


def network() -> nn.Module:
    layers = [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU()) for _ in range(LAYERS)]
    return nn.Sequential(*layers)


def memory(name: str) -> int:
    """Return a figure of this process in bytes: ``VmRSS``, or ``VmHWM`` for the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


class Measured(Callback):
    """Notes the memory and the time after each step."""

    uses_model: ClassVar[bool] = False

    def __init__(self, before: int) -> None:
        super().__init__("train_batch_end")
        self.before, self.held, self.peaks, self.times = before, [0], [0], [time.perf_counter()]

    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        """Note them."""
        self.note()

    def note(self) -> None:
        """Note them, and begin another peak."""
        self.held.append(memory("VmRSS") - self.before)
        self.peaks.append(memory("VmHWM") - self.before)
        self.times.append(time.perf_counter())
        Path("/proc/self/clear_refs").write_text("5")

    def figures(self) -> tuple[float, float, float]:
        """Return the megabytes between steps and at the peak, and the seconds of a step."""
        laps = [after - before for before, after in zip(self.times, self.times[1:], strict=False)]
        return max(self.held[3:]) / 1e6, max(self.peaks[3:]) / 1e6, median(laps[3:])


def trained(settings: dict[str, Any], folder: str) -> tuple[float, float, float]:
    """Train with the trainer."""
    measured = Measured(memory("VmRSS"))
    model, x = network(), torch.randn(ROWS * STEPS, WIDTH)
    config = TrainConfig(
        max_iter=1,
        batch_size=ROWS // 2,
        verbose=False,
        tracking_tool="none",
        root_folder=Path(folder),
        callbacks=[measured],
        **settings,
    )
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, foreach=False)
    Trainer(model, optimizer, config, "mse", (x, x)).fit()
    return measured.figures()


def by_hand() -> tuple[float, float, float]:
    """Train with ``torch.distributed.fsdp.fully_shard``, without a trainer."""
    from torch.distributed.fsdp import fully_shard

    from perceptrain_core.engine import make_engine

    make_engine()
    measured = Measured(memory("VmRSS"))
    model, x = network(), torch.randn(ROWS // 2 * STEPS, WIDTH)
    for layer in model.children():
        fully_shard(layer)
    fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, foreach=False)
    for batch in x.split(ROWS // 2):
        optimizer.zero_grad()
        mse_loss(model(batch), batch).backward()
        optimizer.step()
        measured.note()
    return measured.figures()


def main() -> None:
    """Measure each way in two new processes, and print a table."""
    # Memory that is freed returns to the system at once, and no longer counts.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "1000000")
    count = sum(p.numel() for p in network().parameters())
    print(f"{count / 1e6:.0f} million parameters, {count * 4 / 1e6:.0f} MB, two processes")
    for way in sys.argv[1:] or WAYS:
        with tempfile.TemporaryDirectory() as folder:
            work = (trained, 2, WAYS[way], folder) if WAYS[way] else (by_hand, 2)
            held, peak, seconds = run_in_processes(*work)  # type: ignore[arg-type]
        print(f"{way:36} {held:6.0f} MB held {peak:6.0f} MB at the peak {seconds:6.2f} s a step")


if __name__ == "__main__":
    main()
