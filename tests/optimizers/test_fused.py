"""Adam and AdamW by name: torch's own steps, with the fused kernel where it computes the same."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer, get_optimizer, load_checkpoint, write_checkpoint
from perceptrain.optimizers import CombinedOptimizer

TORCH: dict[str, Any] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
OPTIONS: list[dict[str, Any]] = [
    {},
    {"weight_decay": 0.1, "betas": (0.8, 0.99), "eps": 1e-6},
    {"amsgrad": True, "maximize": True},
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def parameters(dtype: torch.dtype = torch.float64) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    shapes: list[tuple[int, ...]] = [(16, 3), (17,), (1, 16), ()]
    return [nn.Parameter(torch.randn(s, generator=generator).to(dtype)) for s in shapes]


def slope(p: Tensor, step: int) -> Tensor:
    return torch.sin(3 * p.detach() + 0.1 * step)


def train(optimizer: torch.optim.Optimizer, steps: int, first: int = 0) -> list[Tensor]:
    params = [p for group in optimizer.param_groups for p in group["params"]]
    for step in range(first, first + steps):
        for p in params:
            p.grad = slope(p, step)
        optimizer.step()
    return [p.detach() for p in params]


def fused(optimizer: torch.optim.Optimizer) -> list[Any]:
    return [group["fused"] for group in optimizer.param_groups]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "dtype", "bound"),
    [
        ("adam", OPTIONS[0], torch.float32, 4e-6),
        ("adam", OPTIONS[1], torch.float64, 1e-14),
        ("adam", OPTIONS[2], torch.float64, 1e-14),
        ("adamw", OPTIONS[0], torch.float64, 1e-14),
        ("adamw", OPTIONS[1], torch.float32, 4e-6),
    ],
)
def test_hundreds_of_steps_agree_with_torch(
    name: str, options: dict[str, Any], dtype: torch.dtype, bound: float
) -> None:
    ours = get_optimizer(name, parameters(dtype), lr=1e-3, **options)
    theirs = TORCH[name](parameters(dtype), lr=1e-3, **options)
    assert (fused(ours), fused(theirs)) == ([True], [None])
    for own, other in zip(train(ours, 300), train(theirs, 300), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=bound)
    assert fused(ours) == [True]
    assert isinstance(ours, TORCH[name])
    assert type(ours).__name__ == TORCH[name].__name__


@pytest.mark.parametrize(
    "options",
    [
        *({"fused": False}, {"foreach": True}, {"foreach": False}),
        *({"lr": torch.tensor(1e-3)}, {"differentiable": True}),
    ],
    ids=str,
)
def test_options_that_rule_the_kernel_out(options: dict[str, Any]) -> None:
    optimizer = get_optimizer("adam", parameters(), **options)
    assert not fused(optimizer)[0]
    assert optimizer.param_groups[0]["foreach"] == options.get("foreach")


def test_an_explicit_option_is_passed_to_torch() -> None:
    optimizer = get_optimizer("adam", parameters(), fused=True)
    assert getattr(optimizer, "_step_supports_amp_scaling", False)
    assert not hasattr(get_optimizer("adam", parameters()), "_step_supports_amp_scaling")
    assert fused(get_optimizer(torch.optim.Adam, parameters())) == [None]


def test_small_parameters_are_left_alone_where_there_are_threads() -> None:
    torch.set_num_threads(2)
    assert fused(get_optimizer("adam", parameters())) == [None]
    assert fused(get_optimizer("adam", [nn.Parameter(torch.zeros(256, 128))])) == [True]


def test_complex_parameters_have_no_kernel() -> None:
    (ours,), (theirs,) = ([nn.Parameter(torch.ones(3, dtype=torch.complex64))] for _ in "ab")
    optimizer = get_optimizer("adam", [ours])
    assert fused(optimizer) == [None]
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))]})
    assert fused(optimizer) == [None, True]
    other = torch.optim.Adam([theirs])
    ours.grad = theirs.grad = torch.tensor([1j, 2, -1])
    optimizer.step()
    other.step()
    assert torch.equal(ours, theirs)


def transposed(p: Tensor) -> Tensor:
    return slope(p, 1).t().contiguous().t()


def expanded(p: Tensor) -> Tensor:
    return slope(p, 1)[:1].expand_as(p)


@pytest.mark.parametrize("gradient", [transposed, expanded])
def test_gradients_with_other_strides(gradient: Callable[[Tensor], Tensor]) -> None:
    (ours, *_), (theirs, *_) = parameters(), parameters()
    optimizer, other = get_optimizer("adam", [ours]), torch.optim.Adam([theirs])
    for _ in range(3):
        ours.grad, theirs.grad = gradient(ours), gradient(theirs)
        optimizer.step()
        other.step()
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-14)
    assert fused(optimizer) == [False]


def test_parameters_with_gaps_or_another_layout_than_their_state() -> None:
    with_gaps = nn.Parameter(torch.zeros(10)[::2])
    assert fused(get_optimizer("adam", [with_gaps])) == [None]
    ours, theirs = (nn.Parameter(torch.arange(12.0).view(3, 4)) for _ in "ab")
    optimizer, other = get_optimizer("adam", [ours]), torch.optim.Adam([theirs])
    train(optimizer, 2)
    train(other, 2)
    for p in (ours, theirs):
        p.data = p.data.t().contiguous().t()
    for own, expected in zip(train(optimizer, 2, 2), train(other, 2, 2), strict=True):
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-6)
    assert fused(optimizer) == [False]


def test_channels_last_keeps_the_kernel() -> None:
    layer = nn.Conv2d(3, 4, 2).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    twin = copy.deepcopy(layer)
    optimizer, other = (
        get_optimizer("adam", layer.parameters()),
        torch.optim.Adam(twin.parameters()),
    )
    for _ in range(3):
        for module, one in ((layer, optimizer), (twin, other)):
            one.zero_grad()
            module(torch.ones(1, 3, 4, 4)).square().sum().backward()
            one.step()
    torch.testing.assert_close(layer.weight, twin.weight, rtol=0, atol=1e-6)
    assert fused(optimizer) == [True]


def test_a_parameter_whose_gradients_come_late() -> None:
    def run(optimizer: torch.optim.Optimizer) -> list[Tensor]:
        params = optimizer.param_groups[0]["params"]
        for step in range(6):
            for index, p in enumerate(params):
                p.grad = slope(p, step) if index or step > 2 else None
            optimizer.step()
        return [p.detach() for p in params]

    pairs = zip(
        run(get_optimizer("adam", parameters())),
        run(torch.optim.Adam(parameters())),
        strict=True,
    )
    for own, other in pairs:
        torch.testing.assert_close(own, other, rtol=0, atol=1e-14)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_a_copy_checks_its_gradients_too(copied: Callable[[Any], Any]) -> None:
    optimizer = copied(get_optimizer("adam", parameters()[:1]))
    assert fused(optimizer) == [True]
    (p,) = optimizer.param_groups[0]["params"]
    p.grad = transposed(p)
    optimizer.step()
    assert fused(optimizer) == [False]


@pytest.mark.parametrize("saved", ["adam", torch.optim.Adam])
@pytest.mark.parametrize("loading", ["adam", torch.optim.Adam])
def test_states_fit_those_of_torch(saved: Any, loading: Any, tmp_path: Path) -> None:
    model = nn.ParameterList(parameters())
    first = get_optimizer(saved, model.parameters())
    train(first, 5)
    write_checkpoint(tmp_path, model, first, 5)
    other = nn.ParameterList(parameters())
    second = get_optimizer(loading, other.parameters())
    load_checkpoint(tmp_path, other, second)
    assert fused(second) == fused(first)  # the kernel of the saved run, so the same bits
    for own, expected in zip(train(second, 5, 5), train(first, 5, 5), strict=True):
        assert torch.equal(own, expected)


def test_groups_and_combined_optimizers() -> None:
    net = nn.Sequential(nn.Linear(2, 4), nn.Linear(4, 1))
    groups = [{"match": "0.*", "fused": False, "lr": 0.1}, {"match": "1.*", "optimizer": "adam"}]
    trainer = Trainer(net, {"name": "adamw", "groups": groups}, TrainConfig(max_iter=1))
    assert isinstance(trainer.optimizer, CombinedOptimizer)
    assert fused(trainer.optimizer) == [False, True]


@pytest.mark.parametrize("precision", ["full", "fp16"])
def test_a_run_by_name_is_that_of_the_object(precision: Any) -> None:
    torch.manual_seed(0)
    x = torch.rand(40, 2)
    y = x.sum(1, keepdim=True)
    nets = [nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)) for _ in "ab"]
    nets[1].load_state_dict(nets[0].state_dict())
    config = TrainConfig(max_iter=3, batch_size=8, precision=precision, verbose=False)
    for net, optimizer in zip(nets, ("adam", torch.optim.Adam(nets[1].parameters())), strict=True):
        torch.manual_seed(1)  # the order of the rows
        Trainer(net, optimizer, config, "mse").fit((x, y))
    for own, other in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-5)
