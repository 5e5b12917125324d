"""Checkpoints written by a fit, by a callback and by hand, and loaded again."""

from pathlib import Path

import torch

from perceptrain import TrainConfig, Trainer, to_dataloader
from perceptrain.callbacks import LoadCheckpoint, SaveCheckpoint
from perceptrain.callbacks.saveload import load_checkpoint, load_model, write_checkpoint

x = torch.randn(20, 2)
loader = to_dataloader(x, x.sum(1, keepdim=True), batch_size=5)


def make():
    model = torch.nn.Linear(2, 1)
    return model, torch.optim.Adam(model.parameters(), lr=0.05)


model, optimizer = make()
config = TrainConfig(max_iter=6, checkpoint_every=2, log_folder=Path("./first"), verbose=False)
trainer = Trainer(model, optimizer, config, "mse")
trainer.fit(loader)

other, other_optimizer = make()
loaded = load_checkpoint(trainer.log_folder, other, other_optimizer)
assert loaded == (other, other_optimizer, 6)
assert torch.equal(other.weight, model.weight)
assert other_optimizer.state_dict()["state"][0]["step"] == 24
assert torch.equal(load_model(Path("runs/first"), make()[0]).weight, model.weight)

write_checkpoint(Path("by_hand"), model, optimizer, 3)
write_checkpoint("by_hand", model, optimizer, iteration=12)
assert load_checkpoint("by_hand", *make(), device="cpu")[2] == 12

# A new run that starts from the weights of the first.
other, other_optimizer = make()
config = TrainConfig(max_iter=0, log_folder=Path("first"), verbose=False)
config.callbacks = [LoadCheckpoint("train_start", 1)]
Trainer(other, other_optimizer, config).fit(loader)
assert torch.equal(other.weight, model.weight)

# Every eight batches.
config = TrainConfig(max_iter=4, root_folder="here", verbose=False)
config.callbacks = [SaveCheckpoint("train_batch_end", 8)]
Trainer(*make(), config).fit(loader)
assert len(list(Path("here").glob("*.pt"))) == 2

# Two fits: the second keeps weights and optimizer, counts anew, and has a folder of its own.
config = TrainConfig(max_iter=3, checkpoint_every=1, log_folder="twice", verbose=False)
trainer = Trainer(*make(), config)
trainer.fit(loader)
first, folder = trainer.history, trainer.log_folder
trainer.fit(loader)
assert trainer.history[0]["train_loss"] < first[0]["train_loss"]
assert (len(trainer.history), trainer.current_epoch, trainer.global_step) == (3, 3, 12)
assert trainer.optimizer.state_dict()["state"][0]["step"] == 24
assert trainer.log_folder == folder / "run-2"
