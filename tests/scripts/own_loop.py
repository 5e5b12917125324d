"""A loop of one's own that begins where it stopped, then a fit, by the older module paths."""

import os
import warnings

import torch
from torch.distributions import Normal
from torch.utils.data import DataLoader

from perceptrain import FFNN, PINN, TrainConfig, Trainer, to_dataloader
from perceptrain.callbacks.callback import LogHyperparameters, SaveCheckpoint
from perceptrain.callbacks.saveload import load_checkpoint, write_checkpoint
from perceptrain.data import DictDataLoader, GenerativeIterableDataset
from perceptrain.loss.loss import GradWeightedLoss
from perceptrain.optimizers.adam_lbfgs import AdamLBFGS
from perceptrain.train_utils.accelerator import Accelerator

torch.manual_seed(0)
points = torch.rand(20, 1, requires_grad=True) * 2 - 1
accelerator = Accelerator(compute_setup="cpu")


def loss_fn(batch, model):
    u = model(batch)
    (slope,) = torch.autograd.grad(u.sum(), batch[0], create_graph=True)
    return (slope + u).square().mean() + (u - 1).square().mean(), {}


def run(steps):
    """Begin from the newest checkpoint, if there is one."""
    model = FFNN([1, 8, 1])
    optimizer = AdamLBFGS(model.parameters(), adam_kwargs={"lr": 0.01})
    model, optimizer, start = load_checkpoint(folder="by_hand", model=model, optimizer=optimizer)
    for _ in range(start, steps):
        for batch in to_dataloader(points, batch_size=20):
            batch = accelerator.prepare_batch(batch)

            def closure(batch=batch):
                optimizer.zero_grad()
                loss, _ = loss_fn(batch, model)
                loss.backward()
                return loss

            loss = optimizer.step(closure)
    write_checkpoint("by_hand", model, optimizer, steps)
    return start, optimizer.needs_closure, loss.item()


with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    first, second = run(60), run(110)
assert (first[:2], second[:2]) == ((0, False), (60, True))
assert second[2] < first[2]
assert ["Nothing to load" in str(w.message) for w in seen] == [True, False]  # and the switch

# A fit on points that have a graph, with labels and without.
model = FFNN([1, 8, 1])
config = TrainConfig(max_iter=3, batch_size=5, checkpoint_every=1, log_folder="fit", verbose=False)
trainer = Trainer(model, torch.optim.Adam(model.parameters()), config, "mse")
trainer.fit((points, torch.zeros(20, 1)))
assert "checkpoint_epoch_000003.pt" in os.listdir(trainer.config.log_folder)
trainer.loss_fn = loss_fn
trainer.fit(to_dataloader(points, batch_size=5))
assert trainer.config.log_folder == trainer.log_folder != trainer.config.root_folder / "fit"

# The weights of a PINN, with the fixed term among them, on points of a distribution.
pinn = PINN(FFNN([1, 8, 1]), {"pde": lambda x, u: u(x) - x, "start": lambda x, u: u(x) - 1})
normal = GenerativeIterableDataset(Normal(torch.zeros(1), 1.0).sample)
loaders = {"pde": DataLoader(normal, batch_size=8), "start": to_dataloader(torch.zeros(1, 1))}
weighted = GradWeightedLoss(None, "mse", None, {"start": 2.0}, "pde")
config = TrainConfig(max_iter=4, val_every=2, log_folder="pinn", verbose=False)
config.callbacks = [
    LogHyperparameters(on="train_start", called_every=1, hyperparams={"lr": 0.01}),
    SaveCheckpoint(on="val_epoch_end"),
]
trainer = Trainer(pinn, torch.optim.Adam(pinn.parameters()), config, weighted)
fixed = {"pde": torch.randn(8, 1), "start": torch.zeros(1, 1)}
trainer.fit(DictDataLoader(loaders), [fixed])
assert weighted.metric_weights["pde"] == 1
assert {"checkpoint_epoch_000002.pt", "checkpoint_epoch_000004.pt"} <= set(
    os.listdir(trainer.config.log_folder)
)
