"""The same works in other frameworks, with all that costs time and is not training switched off.

Each gets the network, the loss and the batches of the work, and Adam, so that only the loop is its
own. DeepXDE has its own networks, points and losses, and calls back at each step instead.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr
from importlib.util import find_spec
from io import StringIO
from math import pi
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.loops import Loop, NotApplicable
from benchmarks.turns import Feed
from benchmarks.works import Work


def _adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=1e-3)


def lightning(work: Work, feed: Feed, epochs: int) -> nn.Module:
    """Lightning's ``Trainer``, with its option for measurements, ``barebones``."""
    import lightning as L

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = work.network()

        def training_step(self, batch: Any, number: int) -> Tensor:
            return work.loss(batch, self.network)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return _adam(self.network)

    feed.batches = work.prepared()
    module = Module()
    options = {"accelerator": "cpu", "devices": 1, "barebones": True}
    L.Trainer(max_epochs=epochs, **options).fit(module, feed)
    return module.network


def ignite(work: Work, feed: Feed, epochs: int) -> nn.Module:
    """Ignite's ``Engine``."""
    from ignite.engine import Engine

    network = work.network()
    optimizer = _adam(network)

    def update(engine: Engine, batch: Any) -> Tensor:
        optimizer.zero_grad()
        loss = work.loss(batch, network)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        return loss.detach()

    feed.batches = work.prepared()
    Engine(update).run(feed, max_epochs=epochs)
    return network


def accelerate(work: Work, feed: Feed, epochs: int) -> nn.Module:
    """A loop by hand with Accelerate."""
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    return _loop(work, feed, epochs, accelerator.prepare, accelerator.backward)


def fabric(work: Work, feed: Feed, epochs: int) -> nn.Module:
    """A loop by hand with Lightning Fabric."""
    from lightning.fabric import Fabric

    engine = Fabric(accelerator="cpu", devices=1)
    return _loop(work, feed, epochs, engine.setup, engine.backward)


def _loop(work: Work, feed: Feed, epochs: int, prepare: Any, backward: Any) -> nn.Module:
    """A loop whose model, optimizer and backward pass come from a framework."""
    network = work.network()
    model, optimizer = prepare(network, _adam(network))
    feed.batches = work.prepared()
    for _ in range(epochs):
        for batch in feed:
            optimizer.zero_grad()
            backward(work.loss(batch, model))
            optimizer.step()
    return network


def skorch(work: Work, feed: Feed, epochs: int) -> nn.Module:
    """skorch's ``NeuralNet``, without printing and validation."""
    if work.residuals is not None:
        raise NotApplicable("skorch needs as many rows in all tensors of a batch")
    from skorch import NeuralNet

    class Net(NeuralNet):  # type: ignore[misc]
        def get_iterator(self, dataset: Any, training: bool = False) -> Feed:
            return feed

        def train_step_single(self, batch: Any, **options: Any) -> dict[str, Any]:
            self._set_training(True)
            loss = work.loss(batch, self.module_)
            loss.backward()  # type: ignore[no-untyped-call]
            return {"loss": loss, "y_pred": None}

    feed.batches = work.prepared()
    options = {"lr": 1e-3, "train_split": None, "callbacks__print_log": None}
    net = Net(work.network(), nn.MSELoss, optimizer=torch.optim.Adam, max_epochs=epochs, **options)
    net.fit(torch.zeros(1, 1), torch.zeros(1, 1))
    return net.module_  # type: ignore[no-any-return]


def transformers(work: Work, feed: Feed, epochs: int) -> nn.Module:
    """The ``Trainer`` of Hugging Face, without logging, saving and clipping."""
    from transformers import Trainer, TrainingArguments

    class OwnLoss(Trainer):  # type: ignore[misc]
        def get_train_dataloader(self) -> Feed:
            return feed

        def compute_loss(self, model: nn.Module, inputs: Any, *args: Any, **options: Any) -> Tensor:
            return work.loss(inputs, model)

        def _prepare_inputs(self, inputs: Any) -> Any:
            return inputs

    network = work.network()
    feed.batches = work.prepared()
    with TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_train_epochs=epochs, lr_scheduler_type="constant", max_grad_norm=0.0,
            use_cpu=True, report_to="none", logging_strategy="no", save_strategy="no",
            disable_tqdm=True, dataloader_pin_memory=False, logging_nan_inf_filter=False,
        )  # fmt: skip
        trainer = OwnLoss(network, arguments, optimizers=(_adam(network), None))
        trainer.train()
    return network


def deepxde(work: Work, feed: Feed, epochs: int) -> nn.Module:
    """DeepXDE with torch, its own network, points and losses."""
    if work.residuals is None:
        raise NotApplicable("DeepXDE solves equations")
    os.environ.setdefault("DDE_BACKEND", "pytorch")
    with redirect_stderr(StringIO()):  # it names its backends
        import deepxde as dde

    class Epochs(dde.callbacks.Callback):  # type: ignore[misc]
        """Starts an epoch of the feed where the others ask for the first batch."""

        number = 0

        def on_batch_begin(self) -> None:
            if self.number % len(feed) == 0:
                feed.start_epoch()
            self.number += 1

    data = _oscillator(dde) if "ode" in work.residuals else _helmholtz(dde, work)
    model = dde.Model(data, dde.nn.FNN(work.layers, "tanh", "Glorot normal"))
    model.compile("adam", lr=1e-3, verbose=0)
    steps = epochs * len(feed)
    model.train(iterations=steps, display_every=10**9, callbacks=[Epochs()], verbose=0)
    return model.net  # type: ignore[no-any-return]


def _oscillator(dde: Any) -> Any:
    def equation(t: Tensor, u: Tensor) -> Tensor:
        return dde.grad.hessian(u, t) + u  # type: ignore[no-any-return]

    def slope(t: Tensor, u: Tensor, _: Any) -> Tensor:
        return dde.grad.jacobian(u, t)  # type: ignore[no-any-return]

    start = torch.zeros(1, 1).numpy()
    conditions = [
        dde.icbc.PointSetBC(start, start + 1),
        dde.icbc.PointSetOperatorBC(start, start, slope),
    ]
    return dde.data.PDE(dde.geometry.Interval(0, 1), equation, conditions, num_domain=128)


def _helmholtz(dde: Any, work: Work) -> Any:
    def equation(x: Tensor, u: Tensor) -> Tensor:
        laplacian = dde.grad.hessian(u, x, i=0, j=0) + dde.grad.hessian(u, x, i=1, j=1)
        exact = (pi * x[:, :1]).sin() * (4 * pi * x[:, 1:]).sin()
        return laplacian + u - (1 - 17 * pi**2) * exact  # type: ignore[no-any-return]

    square = dde.geometry.Rectangle([-1, -1], [1, 1])
    condition = dde.icbc.DirichletBC(square, lambda x: 0, lambda x, on_boundary: on_boundary)
    (points,) = work.batches[:1]
    sizes = {"num_domain": len(points["pde"]), "num_boundary": len(points["boundary"])}
    return dde.data.PDE(square, equation, condition, **sizes)


#: By the name in the table: the loop, and the package that it needs.
OTHERS: dict[str, tuple[Loop, str]] = {
    "Accelerate": (accelerate, "accelerate"),
    "Fabric": (fabric, "lightning"),
    "Ignite": (ignite, "ignite"),
    "skorch": (skorch, "skorch"),
    "Lightning": (lightning, "lightning"),
    "HF Trainer": (transformers, "transformers"),
    "DeepXDE": (deepxde, "deepxde"),
}


def installed() -> dict[str, Loop]:
    """Return the loops whose package is installed."""
    return {name: _quiet(loop) for name, (loop, package) in OTHERS.items() if find_spec(package)}


def missing() -> dict[str, str]:
    """Return the packages that are not installed, by the name in the table."""
    return {name: package for name, (_, package) in OTHERS.items() if not find_spec(package)}


def _quiet(loop: Callable[..., nn.Module]) -> Loop:
    def run(work: Work, feed: Feed, epochs: int) -> nn.Module:
        warnings.simplefilter("ignore")  # of their own code, and of options switched off
        for name in ("lightning.pytorch", "ignite.engine.engine.Engine"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        return loop(work, feed, epochs)

    return run
