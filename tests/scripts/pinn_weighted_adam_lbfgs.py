"""u'' = -u with u(0) = 0 and u'(0) = 1: weighted terms, Adam and then L-BFGS."""

import torch

from perceptrain import FFNN, PINN, DictDataLoader, TrainConfig, Trainer, to_dataloader
from perceptrain.loss.loss import GradWeightedLoss, mse_loss
from perceptrain.optimizers import AdamLBFGS

torch.manual_seed(0)


def d(u, t):
    return torch.autograd.grad(u, t, torch.ones_like(u), create_graph=True)[0]


def ode(t, net):
    u = net(t)
    return d(d(u, t), t) + u


def slope(t, net):
    return d(net(t), t) - 1.0


equations = {"ode": ode, "start": lambda t, net: net(t), "slope": slope}
model = PINN(FFNN([1, 16, 1], torch.nn.Tanh()), equations)
data = DictDataLoader(
    {
        "ode": to_dataloader(2 * torch.rand(64, 1), batch_size=32),
        "start": to_dataloader(torch.zeros(1, 1)),
        "slope": to_dataloader(torch.zeros(1, 1)),
    }
)
optimizer = AdamLBFGS(
    model.parameters(),
    switch_epoch=50,
    adam_kwargs={"lr": 5e-3},
    lbfgs_kwargs={"lr": 0.5, "max_iter": 5, "line_search_fn": "strong_wolfe"},
)
weights = {"start": 1.0, "slope": 1.0}
loss_fn = GradWeightedLoss(next(iter(data)), mse_loss, optimizer, weights, "ode", 0.5)
config = TrainConfig(max_iter=70, val_every=35, verbose=False)
trainer = Trainer(model, optimizer, config, loss_fn, data, data, data)
trainer.fit()
rows = trainer.test()

t = torch.linspace(0, 2, 50).reshape(-1, 1)
assert (model.nn(t) - t.sin()).abs().max() < 0.03
assert weights == {"start": 1.0, "slope": 1.0}
assert "val_ode" in trainer.history[34]
assert {"test_loss", "test_ode", "test_weight_slope"} <= set(rows[0])
