"""Activation checkpointing changes neither results nor names, and computes modules twice."""

from __future__ import annotations

import pickle
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.utils.parametrizations import spectral_norm

from perceptrain import FFNN, PINN, Callback, TrainConfig, Trainer
from perceptrain.errors import CaptureError, ConfigError, TrainingError
from perceptrain_core.models.checkpointing import activation_checkpointing


class Block(nn.Module):
    """Counts its calls, and draws random numbers."""

    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.drop = nn.Linear(4, 4), nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        Block.calls += 1
        return x + self.drop(self.layer(x).tanh())


def net() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.Sequential(Block(), Block(), nn.Linear(4, 1)).double()


def with_buffers() -> nn.Sequential:
    """A model with averages, and with an iteration that continues at each call."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        first = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh())
        second = nn.Sequential(spectral_norm(nn.Linear(4, 4)), nn.Tanh())
        return nn.Sequential(first, second, nn.Linear(4, 1)).double()


def pinn() -> PINN:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return PINN(FFNN([2, 6, 6, 1], nn.Tanh()).double(), {"inner": laplace, "edge": edge})


def laplace(x: Tensor, u: Any) -> Tensor:
    (slope,) = torch.autograd.grad(u(x).sum(), x, create_graph=True)
    rows = [torch.autograd.grad(slope[:, n].sum(), x, create_graph=True)[0] for n in range(2)]
    return rows[0][:, :1] + rows[1][:, 1:]


def edge(x: Tensor, u: Any) -> Tensor:
    return u(x) - x[:, :1]


def mse(batch: Any, model: nn.Module) -> Any:
    return (model(batch[0]) - batch[1]).square().mean(), {}


def twice(batch: Any, model: nn.Module) -> Any:
    """Call the model twice, once with a graph to its inputs."""
    x = batch[0].clone().requires_grad_()
    (slope,) = torch.autograd.grad(model(x).sum(), x, create_graph=True)
    terms = {"slope": slope.square().mean(), "fit": (model(x) - batch[1]).square().mean()}
    return sum(terms.values()), terms


def data() -> tuple[Tensor, Tensor]:
    x = torch.randn(8, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    return x, x[:, :1]


def train(
    folder: Path,
    loss_fn: Any = mse,
    which: Any = True,
    model: nn.Module | None = None,
    optimizer: Any = "adam",
    batches: Any = None,
    weighting: Any = None,
    **settings: Any,
) -> nn.Module:
    model = model or net()
    plain = {"max_iter": 3, "batch_size": 4, "seed": 3, "verbose": False, "tracking_tool": "none"}
    given = {"root_folder": folder, "activation_checkpointing": which, **settings}
    Trainer(
        model,
        {"name": optimizer},
        TrainConfig(**{**plain, **given}),
        loss_fn,
        batches or data(),
        weighting=weighting,
    ).fit()
    return model


def require_same(found: nn.Module, expected: nn.Module) -> None:
    assert list(found.state_dict()) == list(expected.state_dict())
    for name, value in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name
    assert "forward" not in {name for module in found.modules() for name in vars(module)}


@pytest.mark.parametrize("loss_fn", [mse, twice])
@pytest.mark.parametrize("which", [True, [Block], ["0", "1"], lambda name, module: name == "1"])
def test_results_and_names_stay(which: Any, loss_fn: Any, tmp_path: Path) -> None:
    require_same(train(tmp_path, loss_fn, which), train(tmp_path, loss_fn, False))


@pytest.mark.parametrize(
    "settings",
    [
        {"loss_fn": mse},
        {"loss_fn": twice},
        {"optimizer": "lbfgs"},
        {"accumulate": 2},
        {"precision": "bf16"},
        {"loss_fn": twice, "weighting": {"name": "grad_weighted", "fixed_metric": "fit"}},
    ],
    ids=["plain", "twice", "lbfgs", "accumulated", "bf16", "weighted"],
)
def test_buffers_change_once(settings: Any, tmp_path: Path) -> None:
    found, expected = (
        train(tmp_path, model=with_buffers(), which=which, **settings) for which in (True, False)
    )
    require_same(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "optimizer"), [([PINN], "adam"), (["nn"], "ssbroyden"), (True, "lbfgs")]
)
def test_losses_with_second_derivatives(which: Any, optimizer: str, tmp_path: Path) -> None:
    points = [{"inner": data()[0][:, :2], "edge": data()[0][:3, 2:]}]
    given = {"loss_fn": "mse", "optimizer": optimizer, "batches": points}
    expected = train(tmp_path, model=pinn(), which=False, **given)
    require_same(train(tmp_path, model=pinn(), which=which, **given), expected)


def test_blocks_are_computed_twice(tmp_path: Path) -> None:
    Block.calls = 0
    train(tmp_path, mse, False)
    before, Block.calls = Block.calls, 0
    train(tmp_path, mse, True)
    assert Block.calls == 2 * before


def saved_bytes(model: nn.Module) -> int:
    sizes: list[int] = []
    with saved_tensors_hooks(lambda tensor: sizes.append(tensor.nbytes), lambda none: none):
        model(data()[0]).sum()
    return sum(sizes)


def test_the_activations_inside_are_not_kept() -> None:
    model = net()
    before = saved_bytes(model)
    with activation_checkpointing(model, True):
        assert saved_bytes(model) < before / 2


def test_copies_made_meanwhile_are_ordinary_modules(tmp_path: Path) -> None:
    copies: list[nn.Module] = []

    def copy(trainer: Any, config: Any, writer: Any) -> None:
        copies.extend([deepcopy(trainer.model), pickle.loads(pickle.dumps(trainer.model))])

    model = net()
    train(tmp_path, model=model, callbacks=[Callback("train_epoch_start", 1, copy)])
    x = data()[0]
    for each, expected in zip(copies[:2], [net(), net()], strict=True):
        # Their weights are those of the start, although the model was trained since.
        assert torch.equal(each.eval()(x), expected.eval()(x))
        assert not torch.equal(each(x), model.eval()(x))
        before, Block.calls = Block.calls, 0
        each(x).sum().backward()
        assert Block.calls == 2
        Block.calls = before


def test_a_model_without_blocks_is_one() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    with activation_checkpointing(model, True):
        assert "forward" in vars(model)
    assert "forward" not in vars(model)


def test_a_forward_of_the_user_is_put_back() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    own = model.forward = lambda x: x * 2  # type: ignore[method-assign]
    with activation_checkpointing(model, True):
        x = torch.ones(4, requires_grad=True)
        assert model(x).tolist() == [2.0] * 4
    assert model.forward is own


@pytest.mark.parametrize(
    ("which", "message"),
    [
        (["Missing"], "'Missing'"),
        ([nn.Conv2d], "Conv2d.* has no such submodule"),
        (lambda name, module: False, "true for no module of Sequential"),
    ],
)
def test_what_fits_no_module(which: Any, message: str) -> None:
    with (
        pytest.raises(TrainingError, match=message),
        activation_checkpointing(net(), which),
    ):
        pass


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_a_script_is_refused() -> None:
    model = nn.Sequential(torch.jit.script(nn.Linear(2, 2)))
    with pytest.raises(TrainingError, match=r"torch\.jit"), activation_checkpointing(model, ["0"]):
        pass


def by_transform(batch: Any, model: nn.Module) -> Any:
    slopes = torch.vmap(torch.func.grad(lambda row: model(row).sum()), randomness="different")
    return slopes(batch[0]).square().mean(), {}


def by_other_parameters(batch: Any, model: nn.Module) -> Any:
    others = {name: 2 * value for name, value in model.named_parameters()}
    return torch.func.functional_call(model, others, (batch[0],)).square().mean(), {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"loss_fn": by_transform}, "transform of torch.func.*torch.autograd.grad"),
        ({"loss_fn": by_other_parameters}, "parameters of Block are replaced"),
        ({"optimizer": "gauss_newton", "loss_fn": "mse"}, "Gauss-Newton steps differentiate"),
    ],
)
def test_what_cannot_be_computed_again(given: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=message):
        train(tmp_path, **given)


def test_such_steps_are_not_captured(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="activation_checkpointing computes parts"):
        train(tmp_path, compile="strict")
    with pytest.warns(UserWarning, match="activation_checkpointing computes parts"):
        found = train(tmp_path, compile=True)
    require_same(found, train(tmp_path, which=False))


def test_trials_use_it(tmp_path: Path) -> None:
    settings = {"root_folder": tmp_path, "verbose": False, "batch_size": 8, "shuffle": False}
    losses, calls = [], []
    for which in (False, True):
        config = TrainConfig(activation_checkpointing=which, tracking_tool="none", **settings)
        Block.calls = 0
        torch.manual_seed(4)
        losses.append(Trainer(net(), "adam", config, mse, data()).overfit_batch(steps=3).losses)
        calls.append(Block.calls)
    assert losses[0] == losses[1]
    assert calls[1] == 2 * calls[0]


@pytest.mark.parametrize("given", [0, [], [3], 0.5])
def test_faults(given: Any) -> None:
    with pytest.raises(ConfigError, match="activation_checkpointing"):
        TrainConfig(activation_checkpointing=given)
