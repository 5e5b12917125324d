"""Sharded training in two and three processes, compared with one process and the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from perceptrain import FFNN, PINN, Counted, TrainConfig, Trainer, WeightedLoss
from perceptrain.optimizers import CombinedOptimizer, SequentialOptimizer
from perceptrain_core.engine.launch import run_in_processes

# Processes have the filters of warnings of the one that starts them.
pytestmark = pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")

ROWS = 24
Case = Callable[[int], dict[str, Any]]


def data() -> tuple[Tensor, Tensor]:
    x = torch.randn(ROWS, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, (x[:, :1] - x[:, 1:]).sin()


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return FFNN([2, 8, 7, 1], nn.Tanh()).double()


def derivative(batch: Any, model: nn.Module) -> Any:
    x = batch[0].clone().requires_grad_()
    with torch.enable_grad():
        (first,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    return (second - model(x)).square().mean() + model(0 * x[:1]).square().mean(), {}


def part_of_the_model(batch: Any, model: Any) -> Any:
    layer = next(m for m in model.modules() if isinstance(m, nn.Linear))
    return layer(batch[0]).square().mean(), {"whole": model(batch[0]).mean()}


def penalty(batch: Any, model: nn.Module) -> Any:
    """A loss that uses parameters without their module."""
    first = next(model.parameters())
    used = nn.functional.linear(batch[0], first).tanh().mean()
    sizes = sum(p.square().sum() for p in model.parameters())
    return (model(batch[0]) - batch[1]).square().mean() + 0.01 * sizes + used, {}


class Scaled(nn.Module):
    """A loss with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))

    def forward(self, batch: Any, model: nn.Module) -> Any:
        x, y = batch
        error = (model(x) - y).square().mean()
        return error * self.scale.exp() - self.scale, {"error": error.detach()}


def terms(batch: Any, model: nn.Module) -> Any:
    x, y = batch
    fit, size = (model(x) - y).square().mean(), model(x).square().mean()
    return fit + size, {"fit": fit, "size": size}


def two_terms(batch: Any, model: nn.Module) -> Any:
    x, y = batch
    mask = y > -0.6
    errors = (model(x) - y).where(mask, 0.0).square().sum() / mask.sum()
    parts = {"size": model(x).abs().mean(), "errors": errors}
    counts = {"size": len(x), "errors": mask.sum()}
    return parts["size"] + errors, Counted(parts, counts, dict.fromkeys(parts, 1.0))


def jacobian(batch: Any, model: nn.Module) -> Any:
    gradient = torch.func.vmap(torch.func.jacrev(lambda x: model(x).sum()))(batch[0])
    return (gradient.sum(1, keepdim=True) - batch[1]).square().mean(), {}


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm, self.wide, self.narrow = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return x + self.narrow(self.wide(self.norm(x)).relu())


class Transformer(nn.Module):
    """The embedding and the head have one weight, and one parameter is frozen."""

    def __init__(self, checkpoints: bool) -> None:
        super().__init__()
        self.checkpoints = checkpoints
        self.embed = nn.Embedding(5, 8)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(8, 5)
        self.head.weight = self.embed.weight
        self.blocks[0].wide.bias.requires_grad = False

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.checkpoints else block(x)
        return self.head(x).mean(1)


def transformer(checkpoints: bool = False) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Transformer(checkpoints).double()


def tokens() -> tuple[Tensor, Tensor]:
    drawn = torch.randint(5, (ROWS, 4), generator=torch.Generator().manual_seed(2))
    return drawn, drawn.sum(1) % 5


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(2, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)  # type: ignore[no-any-return]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells, self.head = nn.LSTM(2, 5, batch_first=True), nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x[:, None])[0][:, 0])  # type: ignore[no-any-return]


def recurrent() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Recurrent().double()


def oscillator() -> nn.Module:
    def equation(x: Tensor, model: nn.Module) -> Tensor:
        u = model(x)
        (du,) = torch.autograd.grad(u.sum(), x, create_graph=True)
        (ddu,) = torch.autograd.grad(du.sum(), x, create_graph=True)
        return ddu + u

    def start(x: Tensor, model: nn.Module) -> Tensor:
        return model(x) - 1

    with torch.random.fork_rng():
        torch.manual_seed(4)
        return PINN(FFNN([1, 8, 1], nn.Tanh()), {"equation": equation, "start": start}).double()


def points() -> dict[str, Tensor]:
    grid = torch.linspace(0, 1, ROWS, dtype=torch.float64)[:, None]
    return {"equation": grid, "start": 0 * grid}


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def adam(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=0.02)


def sequence(model: nn.Module) -> torch.optim.Optimizer:
    return SequentialOptimizer(model.parameters(), [{"name": "adam", "lr": 0.02}, "sgd"], [2])


def combined(model: nn.Module) -> torch.optim.Optimizer:
    first, *rest = model.parameters()
    return CombinedOptimizer(
        {"sgd": torch.optim.SGD([first], 0.05, momentum=0.9), "adam": torch.optim.Adam(rest, 0.02)}
    )


#: What each run passes to `train` beside its batch size.
CASES: dict[str, dict[str, Any]] = {
    "uneven": {"rows": lambda: tuple(part[:18] for part in data()), "optimizer": adam},
    "uneven_accumulated": {"rows": lambda: tuple(part[:18] for part in data()), "accumulate": 2},
    "foreach": {"optimizer": lambda m: torch.optim.Adam(m.parameters(), 0.02, foreach=True)},
    "fused": {"optimizer": lambda m: torch.optim.AdamW(m.parameters(), 0.02, fused=True)},
    "derivative": {"loss_fn": lambda: derivative},
    "part_of_the_model": {"loss_fn": lambda: part_of_the_model},
    "penalty": {"loss_fn": lambda: penalty},
    "parameters_of_its_own": {"loss_fn": Scaled},
    "two_terms": {"loss_fn": lambda: two_terms},
    "jacobian": {"loss_fn": lambda: jacobian},
    "weighted": {"loss_fn": lambda: WeightedLoss(terms, "grad_norm_balance")},
    "transformer": {"make": transformer, "loss_fn": lambda: "cross_entropy", "rows": tokens},
    "checkpointed_by_itself": {
        "make": lambda: transformer(checkpoints=True),
        "loss_fn": lambda: "cross_entropy",
        "rows": tokens,
    },
    "pinn": {"make": oscillator, "rows": points, "optimizer": adam, "val_every": 1},
    "sequence": {"optimizer": sequence},
    "combined": {"optimizer": combined},
    "recurrent": {"make": recurrent, "optimizer": adam},
    "clipped": {
        "grad_clip": 0.1,
        "log_grad_norm": True,
        "lr_scheduler": {"name": "step", "step_size": 1, "gamma": 0.5},
    },
    "clipped_values": {"grad_clip_value": 0.01},
    "accumulated": {"accumulate": 2, "grad_clip": 0.2, "optimizer": adam},
    "averaged": {"ema": 0.9, "val_every": 1, "optimizer": adam},
}


def train(
    batch_size: int,
    folder: Path,
    *,
    make: Callable[[], nn.Module] = net,
    loss_fn: Callable[[], Any] = lambda: "mse",
    optimizer: Callable[[nn.Module], Any] = sgd,
    rows: Callable[[], Any] = data,
    resume: Any = False,
    **settings: Any,
) -> Trainer:
    model = make()
    plain = {"max_iter": 2, "shuffle": False, "verbose": False, "tracking_tool": "none"}
    plain |= {"root_folder": folder, "batch_size": batch_size}
    given: Any = rows()
    config = TrainConfig(**(plain | settings))
    cut = {n: p[:22] for n, p in given.items()} if isinstance(given, dict) else None
    checked = cut or tuple(part[:22] for part in given)
    trainer = Trainer(model, optimizer(model), config, loss_fn(), given, checked)
    trainer.fit(resume=resume)
    return trainer


def outcome(trainer: Trainer) -> dict[str, Any]:
    """Return what two runs are compared by."""
    return {
        "parameters": {k: v.clone() for k, v in trainer.model.state_dict().items()},
        "optimizer": {**trainer.optimizer.state_dict()["state"]},
        "history": list(trainer.history),
        "types": {type(p) for p in trainer.model.parameters()},
        "owned": {*trainer.model.parameters()}
        >= {p for g in trainer.optimizer.param_groups for p in g["params"]}
        - {*getattr(trainer.loss_fn, "parameters", list)()},
    }


def run_all(names: list[tuple[str, bool]], batch_size: int, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, reshards in names:
        options = {"shard_modules": 10, "reshard_after_forward": reshards} | CASES[name]
        trainer = train(batch_size, folder, strategy="fsdp", **options)
        found[f"{name}-{reshards}"] = outcome(trainer)
    return found


KEPT = ("uneven_accumulated", "transformer")
RUNS = [*((name, True) for name in CASES), *((name, False) for name in KEPT)]
IN_THREE = [("pinn", True)]


@pytest.fixture(scope="module")
def sharded(forked_workers: None, tmp_path_factory: Any) -> dict[int, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("sharded")
    return {
        processes: run_in_processes(run_all, processes, names, 12 // processes, folder)
        for processes, names in ((2, RUNS), (3, IN_THREE))
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory: Any) -> Callable[[str], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("alone")
    return cache(lambda name: outcome(train(12, folder, **CASES[name])))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "reshards", "processes"), [(*run, 2) for run in RUNS] + [(*run, 3) for run in IN_THREE]
)
def test_processes_train_as_one(
    name: str, reshards: bool, processes: int, sharded: Any, alone: Any
) -> None:
    expected = alone(name)
    found = sharded[processes][f"{name}-{reshards}"]
    assert found["types"] == {nn.Parameter}
    assert found["owned"]
    for part in ("parameters", "optimizer", "history"):
        torch.testing.assert_close(found[part], expected[part], rtol=1e-9, atol=1e-11)
