"""Fit a quantum circuit to a damped oscillation by Gauss-Newton steps and by Adam."""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import Any

import torch
from matplotlib import style
from matplotlib.figure import Figure
from torch import Tensor

from perceptrain import Callback, TrainConfig, Trainer, get_model

PICTURE = Path("gauss_newton.png")
X = torch.linspace(0, 1, 60, dtype=torch.float64).unsqueeze(1)
DENSE = torch.linspace(0, 1, 200, dtype=torch.float64).unsqueeze(1)
OPTIMIZERS: dict[str, Any] = {"gauss_newton": "gauss_newton", "adam": {"name": "adam", "lr": 0.1}}


def solution(x: Tensor) -> Tensor:
    """Return the oscillation."""
    return torch.exp(-x) * torch.cos(10 * x)


class Curve(Callback):
    """Record seconds of processor time and the relative L2 error, and stop after some seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__("train_epoch_end")
        self.seconds, self.start = seconds, process_time()
        self.points: list[tuple[float, float]] = []

    def run_callback(self, trainer: Any, config: TrainConfig, writer: Any) -> None:
        """Record the error."""
        with torch.no_grad():
            error = (trainer.model(DENSE) - solution(DENSE)).norm() / solution(DENSE).norm()
        self.points.append((process_time() - self.start, error.item()))
        trainer.stop_training = self.points[-1][0] > self.seconds


def train(optimizer: Any, seconds: float) -> list[tuple[float, float]]:
    """Train a circuit of four qubits; return seconds and errors."""
    torch.manual_seed(0)
    model = get_model("qnn", n_qubits=4, feature_range=(-0.05, 1.05), trainable_scaling=True)
    curve = Curve(seconds)
    config = TrainConfig(max_iter=10**6, verbose=False, callbacks=[curve])
    Trainer(model, optimizer, config, loss_fn="mse").fit([(X, solution(X))])
    return curve.points


@style.context("perceptrain_core.pictures")
def main(seconds: float = 8.0, picture: Path = PICTURE) -> dict[str, float]:
    """Train by both, plot the errors over time, and return the last errors."""
    figure = Figure(figsize=(6, 3.6))
    axes = figure.subplots()
    errors = {}
    for name, optimizer in OPTIMIZERS.items():
        points = train(optimizer, seconds)
        axes.semilogy(*zip(*points, strict=True), label=name)
        errors[name] = points[-1][1]
        print(f"{name}: relative L2 error {errors[name]:.1e} after {len(points)} steps")
    axes.set(xlabel="processor time in seconds", ylabel="relative L2 error")
    axes.legend()
    figure.savefig(picture)
    return errors


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
