"""Validation with criteria of one's own, and the model of the best one."""

from pathlib import Path

import torch

from perceptrain import TrainConfig, Trainer, load_model, to_dataloader
from perceptrain.callbacks import EarlyStopping, SaveBestCheckpoint
from perceptrain.callbacks.saveload import load_checkpoint

torch.manual_seed(0)
x = torch.randn(64, 1)
train = to_dataloader(x[:48], 2 * x[:48], batch_size=16)
val = to_dataloader(x[48:], 2 * x[48:], batch_size=16)
asked = []


def better(val_loss, best, epsilon):
    asked.append((val_loss, best, epsilon))
    return val_loss < best - epsilon


def good_enough(result):
    return result.metrics.get("val_loss", 1.0) < 1e-3


config = TrainConfig(
    max_iter=500,
    val_every=2,
    checkpoint_best_only=True,
    validation_criterion=better,
    val_epsilon=1e-4,
    trainstop_criterion=good_enough,
    root_folder=Path("./out"),
    log_folder=Path("best"),
    verbose=False,
)
model = torch.nn.Linear(1, 1)
trainer = Trainer(model, torch.optim.SGD(model.parameters(), lr=0.1), config)
trainer.fit(train, val)
assert len(trainer.history) < 500
assert asked[0][1:] == (float("inf"), 1e-4)
best = load_model(Path("out/best"), torch.nn.Linear(1, 1))
assert torch.equal(best.weight, model.weight)

# The same by callbacks that look at each validation.
stopper = EarlyStopping("val_epoch_end", 1, "val_loss", 3, "min")
saver = SaveBestCheckpoint("val_epoch_end", 1)
config = TrainConfig(max_iter=500, val_every=1, callbacks=[stopper, saver], root_folder="out2")
config.verbose = False
trainer = Trainer(model, torch.optim.SGD(model.parameters(), lr=0.1), config)
trainer.fit(train, val)
_, _, epoch = load_checkpoint("out2", torch.nn.Linear(1, 1))
assert stopper.stopped_epoch == len(trainer.history) < 500
assert trainer.history[epoch - 1]["val_loss"] == saver.best_loss
