"""Circuits as models, in float64: subclasses of QuantumModel, QNN and Model; L-BFGS."""

import numpy as np
import torch

from perceptrain import QNN, Model, QuantumModel, TrainConfig, Trainer, to_dataloader
from perceptrain.information import InformationContent
from perceptrain.loss import get_loss, mse_loss
from perceptrain.parameters import get_parameters, num_parameters, set_parameters
from perceptrain.tensors import numpy_to_tensor, promote_to, promote_to_tensor

torch.manual_seed(0)


class Circuit(QuantumModel):
    def __init__(self):
        super().__init__()
        self.theta = torch.nn.Parameter(torch.rand(2, dtype=torch.float64))

    def expectation(self, values):
        return torch.cos(values + self.theta[0]) * torch.cos(self.theta[1])


class Net(QNN):
    def __init__(self, n):
        super().__init__()
        self.phi = torch.nn.Parameter(torch.rand(n, dtype=torch.float64))

    def forward(self, x):
        return torch.cos(x * self.phi[0] + self.phi[1])


class Wrapped(Model):
    def __init__(self):
        super().__init__()
        self.circuit = Circuit()

    def forward(self, x):
        return self.circuit.expectation(x)


x = numpy_to_tensor(np.linspace(-1, 1, 21)).reshape(-1, 1)
y = torch.cos(x + 0.5)
config = TrainConfig(max_iter=60, verbose=False)
for model in (Net(2), Wrapped()):
    adam = torch.optim.Adam(model.parameters(), 0.1)
    trainer = Trainer(model, adam, config, "mse", to_dataloader(x, y, batch_size=21))
    trainer.fit()
    assert trainer.history[-1]["train_loss"] < 0.01
    lower, upper, sensitivity = trainer.get_ic_grad_bounds(0.1, torch.logspace(-6, 2, 30))
    assert 0 <= lower < upper
    low, high = InformationContent(
        model, mse_loss, (x, y), torch.logspace(-6, 2, 30), 10
    ).get_grad_norm_bounds_max_IC()
    assert 0 <= low < high


def loss_fn(batch, model):
    (xs,) = batch
    out = model.expectation(xs)
    return out.pow(2).mean(), {"mean": out.mean().item()}


circuit = Circuit()
assert num_parameters(circuit) == 2
set_parameters(circuit, promote_to_tensor([0.3, 0.2]))
lbfgs = torch.optim.LBFGS(circuit.parameters())
trainer = Trainer(circuit, lbfgs, TrainConfig(max_iter=3, verbose=False), loss_fn)
trainer.fit(to_dataloader(x, batch_size=21))
assert trainer.history[-1]["train_loss"] < 1e-6
assert promote_to(get_parameters(circuit), np.ndarray).shape == (2,)
assert get_loss("mse") is mse_loss
