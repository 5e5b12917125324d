"""Pictures, hyperparameters and metrics for TensorBoard; two runs do not overwrite each other."""

from pathlib import Path

import matplotlib.pyplot as plt
import torch

from perceptrain import TrainConfig, Trainer, to_dataloader
from perceptrain.callbacks import Callback, LogModelTracker, PrintMetrics, WriteMetrics
from perceptrain.types import ExperimentTrackingTool

x = torch.linspace(0, 1, 20).reshape(-1, 1)


def plot(model, iteration):
    figure, axes = plt.subplots()
    axes.plot(x, model(x).detach())
    return f"fit_{iteration}", figure


class Noted(Callback):
    def __init__(self, on="train_epoch_end", called_every=2):
        super().__init__(on=on, called_every=called_every)
        self.epochs = []

    def run_callback(self, trainer, config, writer):
        self.epochs.append(trainer.opt_result.iteration)
        writer.write(trainer.current_epoch, {"weight": trainer.model.weight.item()})


for _ in range(2):
    noted = Noted()
    config = TrainConfig(
        max_iter=4,
        write_every=1,
        plot_every=2,
        plotting_functions=(plot, plot),
        hyperparams={"lr": 0.1, "layers": [1, 1], "name": "line"},
        tracking_tool=ExperimentTrackingTool.TENSORBOARD,
        log_folder=Path("logs"),
        root_folder=Path("."),
        callbacks=[WriteMetrics("train_epoch_end", 2), PrintMetrics("train_end"), noted],
    )
    config.callbacks.append(LogModelTracker("train_end"))
    model = torch.nn.Linear(1, 1)
    Trainer(model, torch.optim.Adam(model.parameters()), config).fit(to_dataloader(x, x))
    assert noted.epochs == [2, 4]
plt.close("all")

runs = {path.parent for path in Path("logs").rglob("events*")}
assert len(runs) == 2
assert all((run / "model.pt").exists() for run in runs)
