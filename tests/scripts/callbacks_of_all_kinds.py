"""Callbacks as functions and subclasses at every stage; learning rates by position."""

import torch

import perceptrain
from perceptrain import OptimizeResult, TrainConfig, Trainer, to_dataloader
from perceptrain.callbacks import (
    Callback,
    GradientMonitoring,
    LRSchedulerCosineAnnealing,
    LRSchedulerCyclic,
    LRSchedulerReduceOnPlateau,
    LRSchedulerStepDecay,
)
from perceptrain.stages import TrainingStage

seen = {}
log = []


class Counter(Callback):
    def run_callback(self, trainer, config, writer):
        seen[self.on] = seen.get(self.on, 0) + 1


def show(trainer, config, writer):
    result = trainer.opt_result
    log.append((trainer.global_step, result.iteration, result.extra["note"], result.extra["lr"]))


def annotate(result: OptimizeResult) -> OptimizeResult:
    result.extra["lr"] = result.optimizer.param_groups[0]["lr"]
    return result


x = torch.randn(12, 2)
loader = to_dataloader(x, x.sum(1, keepdim=True), batch_size=4)
gradients = GradientMonitoring("train_batch_end", 2)
callbacks = [Counter(on=stage) for stage in TrainingStage]
callbacks += [
    gradients,
    Callback("train_batch_end", 1, lambda t, c, w: None, None, {"note": "hello"}),
    Callback("train_batch_end", 2, show, lambda result: result.iteration > 2, annotate),
]
config = TrainConfig(max_iter=4, val_every=2, callbacks=callbacks, verbose=False)
model = torch.nn.Linear(2, 1)
adam = torch.optim.Adam(model.parameters(), lr=0.25)
trainer = Trainer(model, adam, config, "mse", loader, loader, loader)
trainer.fit()
trainer.test()

once, epochs, batches = 1, 4, 12
assert [seen[stage] for stage in ("train_start", "train_end")] == [once, once]
assert [seen[stage] for stage in ("train_epoch_start", "train_epoch_end")] == [epochs, epochs]
assert [seen[stage] for stage in ("train_batch_start", "train_batch_end")] == [batches, batches]
assert [seen[stage] for stage in ("val_epoch_start", "val_epoch_end")] == [2, 2]
assert [seen[stage] for stage in ("val_batch_start", "val_batch_end")] == [6, 6]
assert [seen[stage] for stage in ("test_batch_start", "test_batch_end")] == [3, 3]
assert log == [(step, (step + 2) // 3, "hello", 0.25) for step in (8, 10, 12)]
assert "grad_weight_mean" in gradients.statistics


def rates(callback):
    found = []
    look = Callback(callback.on, 1, lambda t, c, w: found.append(t.optimizer.param_groups[0]["lr"]))
    config = TrainConfig(max_iter=4, callbacks=[callback, look], verbose=False)
    model = torch.nn.Linear(2, 1)
    Trainer(model, torch.optim.SGD(model.parameters(), lr=1.0), config, max_batches=1).fit(loader)
    return [round(rate, 6) for rate in found]


assert rates(LRSchedulerStepDecay("train_epoch_end", 2, 0.5)) == [1, 0.5, 0.5, 0.25]
assert rates(LRSchedulerStepDecay(on="train_batch_end", gamma=0.1)) == [0.1, 0.01, 0.001, 0.0001]
assert rates(LRSchedulerCosineAnnealing("train_epoch_end", 1, 4, 0.0)) == [
    *(0.853553, 0.5, 0.146447, 0.0),
]
assert rates(LRSchedulerCyclic("train_epoch_end", 1, 0.1, 0.5, 2)) == [0.3, 0.5, 0.3, 0.1]
plateau = LRSchedulerReduceOnPlateau("train_epoch_end", 1, "train_loss", 0, "max", 0.5, 1e-4, 1e-6)
plateau.verbose = False
assert rates(plateau)[0] == 1
assert perceptrain.optimizers.AdamLBFGS
assert perceptrain.callbacks.saveload.load_checkpoint
