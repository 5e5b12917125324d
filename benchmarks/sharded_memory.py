"""Memory and time of two processes: DDP, sharded, and a loop with fully_shard.

    python -m benchmarks.sharded_memory

Each way trains a network of 100 million parameters with AdamW. First only steps: what a process
holds in memory between two steps, its peak during a step, and the time of a step. Then a run with
an average of the weights, validations and checkpoints, which another run resumes: the peak of each
phase. All without what Python and torch need before there is a model; the larger of both processes.
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
from perceptrain_core.engine import make_engine
from perceptrain_core.engine.launch import run_in_processes

WIDTH, LAYERS, ROWS, STEPS = 2896, 12, 16, 5
#: The settings of the trainer; the last way is a hand-written loop.
WAYS: dict[str, dict[str, Any]] = {
    "ddp": {"strategy": "ddp"},
    "fsdp": {"strategy": "fsdp"},
    "fsdp, reshard_after_forward=False": {"strategy": "fsdp", "reshard_after_forward": False},
    "fully_shard": {},
}
#: The callbacks that end a phase of a run, by its name.
PHASES = {
    "start": "train_start",
    "step": "train_batch_end",
    "validation": "val_epoch_end",
    "checkpoint": "train_epoch_start",
}


def network() -> nn.Module:
    layers = [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.GELU()) for _ in range(LAYERS)]
    return nn.Sequential(*layers)


def memory(name: str) -> int:
    """Return a figure of this process in bytes: ``VmRSS``, or ``VmHWM`` for the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def new_peak() -> None:
    """Begin another peak."""
    Path("/proc/self/clear_refs").write_text("5")


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
        new_peak()

    def figures(self) -> dict[str, float]:
        """Return the megabytes between steps and at the peak, and the seconds of a step."""
        laps = [after - before for before, after in zip(self.times, self.times[1:], strict=False)]
        held, peak = max(self.held[3:]) / 1e6, max(self.peaks[3:]) / 1e6
        return {"held": held, "step": peak, "seconds": median(laps[3:])}


class Phase(Callback):
    """Notes the peak of a phase, at its end."""

    uses_model: ClassVar[bool] = False

    def __init__(self, name: str, before: int, peaks: dict[str, float]) -> None:
        super().__init__(PHASES[name])
        self.name, self.before, self.peaks = name, before, peaks

    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        """Note the time of a save, except before the first epoch, when nothing is saved."""
        if self.name != "checkpoint" or trainer.history:
            note_peak(self.name, self.before, self.peaks)


def note_peak(name: str, before: int, peaks: dict[str, float]) -> None:
    """Note the peak of a phase in megabytes, and begin another."""
    peaks[name] = max(peaks.get(name, 0.0), (memory("VmHWM") - before) / 1e6)
    new_peak()


def settings_of(folder: str, **settings: Any) -> TrainConfig:
    plain = {"batch_size": ROWS // 2, "verbose": False, "tracking_tool": "none"}
    return TrainConfig(**(plain | {"root_folder": Path(folder)} | settings))


def largest(figures: dict[str, float]) -> dict[str, float]:
    """Return the larger figures of both processes."""
    everywhere = make_engine().gather(figures)
    return {name: max(each[name] for each in everywhere) for name in figures}


def stepped(settings: dict[str, Any], folder: str) -> dict[str, float]:
    """Train with the trainer, steps alone."""
    measured = Measured(memory("VmRSS"))
    model, x = network(), torch.randn(ROWS * STEPS, WIDTH)
    config = settings_of(folder, max_iter=1, callbacks=[measured], **settings)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, foreach=False)
    Trainer(model, optimizer, config, "mse", (x, x)).fit()
    return largest(measured.figures())


def whole_run(settings: dict[str, Any], folder: str, resume: bool) -> dict[str, float]:
    """Train with an average, validations and checkpoints; return the peak of each phase."""
    before, peaks = memory("VmRSS"), dict[str, float]()
    new_peak()
    model, x = network(), torch.randn(ROWS * 2, WIDTH)
    callbacks = [Phase(name, before, peaks) for name in PHASES]
    options = {"ema": 0.9, "val_every": 1, "checkpoint_every": 1, "max_iter": 4 if resume else 2}
    config = settings_of(folder, callbacks=callbacks, log_folder="run", **options, **settings)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, foreach=False)
    Trainer(model, optimizer, config, "mse", (x, x), (x, x)).fit(resume=resume)
    note_peak("end", before, peaks)
    return largest(peaks)


def by_hand() -> dict[str, float]:
    """Train with ``torch.distributed.fsdp.fully_shard``, without a trainer."""
    from torch.distributed.fsdp import fully_shard

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
    return largest(measured.figures())


def shown(figures: dict[str, float]) -> str:
    seconds = figures.pop("seconds", None)
    parts = [f"{name} {megabytes:.0f} MB" for name, megabytes in figures.items()]
    return ", ".join(parts) + ("" if seconds is None else f", {seconds:.2f} s a step")


def main() -> None:
    """Measure each way in new processes, and print the figures."""
    # Memory that is freed returns to the system at once, and no longer counts.
    os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", "1000000")
    count = sum(p.numel() for p in network().parameters())
    print(f"{count / 1e6:.0f} million parameters, {count * 4 / 1e6:.0f} MB, two processes")
    for way in sys.argv[1:] or WAYS:
        settings = WAYS[way]
        with tempfile.TemporaryDirectory() as folder:
            steps = (stepped, 2, settings, folder) if settings else (by_hand, 2)
            print(f"{way}: {shown(run_in_processes(*steps))}", flush=True)  # type: ignore[arg-type]
            for resume in (False, True) if settings else ():
                peaks = run_in_processes(whole_run, 2, settings, folder, resume)
                print(f"  {'resumed' if resume else 'new'}: {shown(peaks)}", flush=True)


if __name__ == "__main__":
    main()
