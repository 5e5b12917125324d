"""What every optimizer must do: train, resume exactly, and keep to the parameters it has."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, PINN, TrainConfig, Trainer, get_optimizer, registry
from perceptrain.callbacks import SaveCheckpoint
from perceptrain.errors import OptionError

NAMES = [
    e.name for e in registry().optimizers.values() if e.distribution == "perceptrain-optimizers"
]

#: A rate at which a small network trains; others do with the default.
RATES = {
    "adabound": 1e-2,
    "grokfast_adamw": 1e-3,
    "lamb": 1e-2,
    "lars": 1e-1,
    "lion": 1e-3,
    "ranger": 1e-2,
    "sgdp": 1e-1,
    "sgdw": 1e-1,
    "shampoo": 1e-1,
}
#: A rate at which a network whose derivatives enter the loss trains.
SMALLER_RATES = {"lars": 1e-2, "schedule_free_sgd": 1e-2, "sgdp": 1e-3, "sgdw": 1e-3}
#: Begin slowly: they warm up, or look for a rate first.
SLOW_STARTERS = ("dadapt_adagrad", "grokfast_adamw", "ranger21", "schedule_free_radam")
AROUND = ("sam", "lookahead")


def options(name: str) -> dict[str, Any]:
    if name in AROUND:
        return {"name": name, "base": {"name": "adam", "lr": 1e-2}}
    return {"name": name, **({"lr": RATES[name]} if name in RATES else {})}


def epochs(name: str) -> int:
    return 100 if name in SLOW_STARTERS else 50


def rows(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    x = torch.randn(32, 2, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return x, (x[:, :1] * 2).sin() + x[:, 1:]


def trainer(name: str, epochs: int, **settings: Any) -> Trainer:
    torch.manual_seed(0)
    model = FFNN([2, 16, 1], "tanh")
    settings = {"batch_size": 16, "verbose": False, "seed": 1, "dtype": torch.float64, **settings}
    config = TrainConfig(max_iter=epochs, **settings)
    return Trainer(model, options(name), config, "mse", rows(), rows())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_trains_a_network(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    trained = trainer(name, epochs(name))
    start = trained.validate()["val_loss"]
    trained.fit()
    assert trained.validate()["val_loss"] < 0.7 * start
    assert all(p.dtype is torch.float64 for p in trained.model.parameters())
    assert capfd.readouterr() == ("", "")


def oscillation(t: Tensor, network: nn.Module) -> Tensor:
    u = network(t)
    du = torch.autograd.grad(u.sum(), t, create_graph=True)[0]
    ddu = torch.autograd.grad(du.sum(), t, create_graph=True)[0]
    return ddu + 4 * u


@pytest.mark.parametrize("name", NAMES)
def test_trains_a_physics_informed_network(name: str) -> None:
    torch.manual_seed(0)
    model = PINN(
        FFNN([1, 16, 1], "tanh"),
        equations={"equation": oscillation, "start": lambda t, network: network(t) - 1},
    )
    points = {"equation": torch.linspace(0, 1, 20)[:, None], "start": torch.zeros(1, 1)}
    optimizer = options(name)
    if name in SMALLER_RATES:
        optimizer["lr"] = SMALLER_RATES[name]
    config = TrainConfig(max_iter=epochs(name), verbose=False)
    trained = Trainer(model, optimizer, config, "mse")
    trained.fit([points])
    assert trained.history[-1]["train_loss"] < 0.7 * trained.history[0]["train_loss"]


@pytest.mark.parametrize("name", NAMES)
def test_a_resumed_run_is_the_uninterrupted_one(name: str, tmp_path: Path) -> None:
    schedule = {"name": "cosine_annealing"}
    save = SaveCheckpoint("train_batch_end", 13)
    settings: dict[str, Any] = {"val_every": 2, "lr_scheduler": schedule, "log_folder": tmp_path}
    whole = trainer(name, 12, callbacks=[save], keep_checkpoints=1, **settings)
    whole.fit()
    resumed = trainer(name, 12, **settings)
    resumed.fit(resume=whole.log_folder)
    assert resumed.history == whole.history
    pairs = zip(whole.model.parameters(), resumed.model.parameters(), strict=True)
    assert all(torch.equal(*pair) for pair in pairs)


class Shapes(nn.Module):
    """Parameters of 0, 1, 2 and 4 dimensions; one that is never used, and one from step 3 on."""

    def __init__(self) -> None:
        super().__init__()
        shapes = {"scale": (), "bias": (3,), "matrix": (3, 4), "kernel": (2, 1, 3, 3)}
        shapes |= {"unused": (4, 4), "late": (3, 3), "late_bias": (2,)}
        for name, shape in shapes.items():
            setattr(self, name, nn.Parameter(torch.randn(shape, dtype=torch.float64) + 1))

    def loss(self, step: int) -> Tensor:
        used = [self.scale, self.bias, self.matrix, self.kernel]
        used += [self.late, self.late_bias] if step >= 3 else []
        return torch.stack([(p - 0.3).square().sum() for p in used]).sum()


def steps(model: Shapes, optimizer: Any, first: int, last: int) -> None:
    for step in range(first, last):

        def closure(step: int = step) -> Tensor:
            optimizer.zero_grad()
            loss = model.loss(step)
            loss.backward()
            return loss

        optimizer.step(closure)


@pytest.mark.parametrize("name", NAMES)
def test_any_shape_and_missing_gradients(name: str) -> None:
    model = Shapes()
    before = copy.deepcopy(model)
    groups = [
        {"params": [model.scale, model.matrix, model.unused]},
        {"params": [model.bias, model.kernel, model.late, model.late_bias], "lr": 1e-3},
    ]
    optimizer = get_optimizer(options(name), groups)
    steps(model, optimizer, 0, 3)
    assert torch.equal(model.late, before.late)
    steps(model, optimizer, 3, 8)
    assert torch.equal(model.unused, before.unused)
    used = [n for n, _ in model.named_parameters() if n != "unused"]
    assert all(not torch.equal(getattr(model, n), getattr(before, n)) for n in used)
    assert model.loss(5) < before.loss(5)


@pytest.mark.parametrize("name", NAMES)
def test_copies_and_states_continue_alike(name: str) -> None:
    model = Shapes()
    optimizer = get_optimizer(options(name), model.parameters())
    steps(model, optimizer, 0, 5)
    state = pickle.loads(pickle.dumps(optimizer.state_dict()))
    model_2, copied = copy.deepcopy((model, optimizer))
    model_3 = copy.deepcopy(model)
    loaded = get_optimizer(options(name), model_3.parameters())
    loaded.load_state_dict(state)
    results = []
    for each, its in ((model, optimizer), (model_2, copied), (model_3, loaded)):
        torch.manual_seed(3)
        np.random.seed(3)
        steps(each, its, 5, 9)
        results.append(nn.utils.parameters_to_vector(each.parameters()))
    assert torch.equal(results[0], results[1])
    assert torch.equal(results[0], results[2])


@pytest.mark.parametrize("name", NAMES)
def test_weights_do_not_decay_unless_asked_to(name: str) -> None:
    built = get_optimizer(options(name), [nn.Parameter(torch.ones(3, 3))])
    decays = {
        k: v for g in built.param_groups for k, v in g.items() if k.startswith("weight_decay")
    }
    assert not any(value for key, value in decays.items() if key != "weight_decouple")


@pytest.mark.parametrize("name", NAMES)
def test_unknown_options_are_refused(name: str) -> None:
    with pytest.raises(OptionError, match="does not accept the option 'learning_rate'"):
        get_optimizer(name, [nn.Parameter(torch.ones(2))], learning_rate=1.0)
