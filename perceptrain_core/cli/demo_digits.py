"""The first part of the demo: a classifier of handwritten digits, from a run file."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import torch

from perceptrain_core.analysis.curves import plot_run
from perceptrain_core.runs.build import build_run
from perceptrain_core.runs.read import read_run_file

FILE = "digits.toml"
RUN = """\
[model]
name = "ffnn"
layers = [64, 128, 64, 10]
activation_function = "relu"

[loss]
name = "cross_entropy"
accuracy = true

[optimizer]
name = "adamw"
lr = 2e-3

[data]
name = "digits"
val_fraction = 0.2

[train]
max_iter = 30
batch_size = 32
print_every = 10
seed = 0
"""


def train_digits(folder: Path) -> tuple[str, str, float]:
    """Train on four fifths of the images, and compute the accuracy on the others.

    Args:
        folder: The folder for the run file and the run folder.

    Returns:
        The name of the loss, the result as text, and the training time in seconds.
    """
    path = folder / FILE
    path.write_text(RUN, encoding="utf-8")
    start = perf_counter()
    run = build_run(read_run_file(path, [f"train.root_folder={str(folder)!r}"]), path)
    run.train()
    seconds = perf_counter() - start
    plot_run(run.trainer.log_folder)
    inputs, labels = run.splits.val
    accuracy = _accuracy(run.trainer.model, inputs, labels)
    return "cross_entropy", f"accuracy {accuracy:.3f} on {len(labels)} held-out images", seconds


def _accuracy(model: torch.nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> float:
    with torch.no_grad():
        correct = model(inputs).argmax(dim=1) == labels
    return float(correct.float().mean())
