"""A subclass that overrides fit and some hooks, with a step of its own that clips gradients."""

import torch

from perceptrain import TrainConfig, Trainer, to_dataloader

norms = []
epochs = []


def clipped(model, optimizer, loss_fn, xs, device=None, dtype=None):
    optimizer.zero_grad()
    loss, metrics = loss_fn(xs, model)
    loss.backward()
    norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)))
    optimizer.step()
    return loss, metrics


class TwoPhases(Trainer):
    def fit(self, train_dataloader=None, val_dataloader=None):
        for lr in (0.1, 0.01):
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            super().fit(train_dataloader, val_dataloader)
        return self.model, self.optimizer

    def on_train_epoch_end(self, metrics):
        epochs.append((self.current_epoch, self.global_step, metrics["train_loss"]))

    def on_train_end(self, train_losses, val_losses):
        assert [loss for loss, _ in train_losses] == [row["train_loss"] for row in self.history]
        assert len(val_losses) == 5


torch.manual_seed(0)
x = torch.randn(64, 1)
model = torch.nn.Linear(1, 1)
sgd = torch.optim.SGD(model.parameters(), lr=1.0)
config = TrainConfig(max_iter=20, val_every=4, verbose=False)
trainer = TwoPhases(model, sgd, config, "mse", optimize_step=clipped)
loader = to_dataloader(x, 3 * x, batch_size=16)
trained, optimizer = trainer.fit(loader, loader)

assert trained is model
assert optimizer.param_groups[0]["lr"] == 0.01
assert abs(model.weight.item() - 3) < 0.05
assert len(norms) == 2 * 20 * 4
assert [row[:2] for row in epochs] == 2 * [(n, 4 * n) for n in range(1, 21)]
assert epochs[20][2] < epochs[0][2]  # the second fit goes on with the weights of the first
