"""Points that move, points without end, and loaders side by side."""

import torch
from torch.utils.data import DataLoader, TensorDataset

from perceptrain import FFNN, PINN, DictDataLoader, InfiniteTensorDataset, TrainConfig, Trainer
from perceptrain.callbacks import R3Sampling
from perceptrain.data import (
    GenerativeIterableDataset,
    R3Dataset,
    data_to_device,
    to_dataloader,
)

torch.manual_seed(0)
silent = TrainConfig(max_iter=5, verbose=False)


def pde(x, u):
    (du,) = torch.autograd.grad(u(x).sum(), x, create_graph=True)
    return du - torch.cos(x)


def fitness(points, model):
    return torch.linalg.vector_norm(pde(points, model.nn), dim=1)


points = R3Dataset(proba_dist=lambda n: 3 * torch.rand(n, 1), n_samples=50, release_threshold=0.05)
first = points.features.clone()
model = PINN(FFNN([1, 12, 1], torch.nn.Tanh()), {"pde": pde, "ic": lambda x, u: u(x)})
sampling = R3Sampling(points, fitness, False, 5)
loader = DictDataLoader(
    {"pde": DataLoader(points, batch_size=25), "ic": to_dataloader(torch.zeros(1, 1))}
)
config = TrainConfig(max_iter=10, callbacks=[sampling], verbose=False)
Trainer(model, torch.optim.Adam(model.parameters(), 1e-2), config, "mse").fit(loader)
assert not torch.equal(first, points.features)
assert points.n_retained + points.n_released == 50

line = torch.nn.Linear(1, 1)
sizes = []


def fit_square(batch, model):
    sizes.append(tuple(batch.shape))
    return (model(batch) - batch**2).square().mean(), {}


fresh = DataLoader(GenerativeIterableDataset(lambda n: torch.rand(n, 1)), batch_size=16)
Trainer(line, torch.optim.Adam(line.parameters()), silent, fit_square).fit(fresh)
assert sizes == [(16, 1)] * 5

x = torch.arange(8.0).reshape(-1, 1)
endless = DataLoader(InfiniteTensorDataset(x, 2 * x), batch_size=4)
trainer = Trainer(line, torch.optim.Adam(line.parameters(), 0.1), silent)
trainer.fit(endless)
assert trainer.global_step == 5

longest = DataLoader(TensorDataset(torch.arange(10.0).reshape(-1, 1)), batch_size=2)
labelled = DataLoader(TensorDataset(x, 2 * x), batch_size=3)
side_by_side = DictDataLoader({"points": longest, "data": labelled})


def both(batch, model):
    inputs, labels = batch["data"]
    terms = {
        "data": (model(inputs) - labels).square().mean(),
        "size": model(batch["points"]).square().mean(),
    }
    return terms["data"] + 0.1 * terms["size"], terms


trainer = Trainer(line, torch.optim.Adam(line.parameters()), silent, both)
trainer.fit(side_by_side)
assert trainer.global_step == 5 * 5
assert set(trainer.history[0]) == {"train_loss", "train_data", "train_size"}
batch = data_to_device(next(iter(side_by_side)), "cpu", torch.float64)
assert batch["points"].dtype == torch.float64

evaluator = Trainer(line, None, silent, "mse", test_dataloader=labelled, max_batches=2)
assert len(evaluator.test()) == 2
assert evaluator.validate(labelled).keys() == {"val_loss"}
