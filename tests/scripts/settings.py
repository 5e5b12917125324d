"""Settings changed later, replaced, copied and pickled."""

import copy
import pickle
from dataclasses import asdict, replace
from pathlib import Path

import torch

from perceptrain.callbacks import EarlyStopping, PrintMetrics
from perceptrain.config import TrainConfig
from perceptrain.trainer import Trainer

stopper = EarlyStopping("train_epoch_end", 1, "train_loss", 2, "min")
config = TrainConfig(max_iter=5, callbacks=[stopper], hyperparams={"a": 1}, dtype=torch.float64)
config.max_iter = 7
config.verbose = False
config.log_folder = "somewhere"
config.batch_size = 4
config.callbacks.append(PrintMetrics("train_epoch_end", 100))

other = replace(config, max_iter=3)
assert (other.max_iter, config.max_iter) == (3, 7)
assert other.log_folder == Path("somewhere")
assert asdict(TrainConfig(max_iter=4))["max_iter"] == 4
assert TrainConfig(max_iter=4) == TrainConfig(max_iter=4) != TrainConfig(max_iter=5)
for same in (pickle.loads(pickle.dumps(config)), copy.deepcopy(config), copy.copy(config)):
    assert (same.max_iter, same.batch_size, len(same.callbacks)) == (7, 4, 2)
    assert (same.hyperparams, same.dtype) == ({"a": 1}, torch.float64)

x = torch.randn(8, 1)
model = torch.nn.Linear(1, 1)
trainer = Trainer(model, torch.optim.Adam(model.parameters()), config)
trainer.config.max_iter = 2
trainer.fit((x, x))
assert trainer.global_step == 4
assert model.weight.dtype == torch.float64
assert stopper.best_epoch == 2
