"""Gradients of three processes, added up: each process uses other parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain_core.engine import gradient_sum, make_engine
from perceptrain_core.engine.gradient_sum import GradientSum
from perceptrain_core.engine.launch import run_in_processes
from perceptrain_core.errors import TrainingError

from ..shared import pickled_by_value

PROCESSES = 3
MANY = 2**24 + 0.5  # float32 does not hold it
Parts = dict[str, nn.Module]


def parts(dtype: torch.dtype = torch.float64) -> Parts:
    torch.manual_seed(0)
    return {
        "linear": nn.Linear(4, 4).to(dtype),
        "conv": nn.Conv2d(2, 3, 2).to(dtype=dtype, memory_format=torch.channels_last),
        "rows": nn.Embedding(5, 4, sparse=True).to(dtype),
        "first": nn.Linear(4, 4).to(dtype),  # only the first process uses it
        "unused": nn.Linear(4, 4).to(dtype),
        "last": nn.Linear(4, 4).to(dtype),
    }


def loss_of(modules: Parts, rank: int) -> Tensor:
    """The loss of a process; the order of the gradients differs between processes, too."""
    dtype = next(modules["linear"].parameters()).dtype
    x = torch.linspace(-1, 1 + rank, 8, dtype=dtype).view(2, 4)
    if rank == 0:
        return modules["last"](modules["first"](modules["linear"](x))).square().sum()
    if rank == 1:
        image = modules["conv"](x.view(1, 2, 2, 2).contiguous(memory_format=torch.channels_last))
        outputs = modules["linear"](modules["last"](x)).sum() + image.square().sum()
        return outputs + modules["rows"].weight.square().sum()  # type: ignore[union-attr, operator]
    return modules["rows"](torch.tensor([1, 3, 3])).square().sum()


def parameters(modules: Parts) -> dict[str, nn.Parameter]:
    return {f"{n}.{k}": p for n, m in modules.items() for k, p in m.named_parameters()}


def gradients(modules: Parts) -> dict[str, Tensor | None]:
    """Return the gradients, dense."""
    return {
        name: None if p.grad is None else p.grad.to_dense().clone()
        for name, p in parameters(modules).items()
    }


def summed(engine: Any, dtype: torch.dtype, largest: int | None) -> Any:
    """Steps of each process; without a limit there is one bucket."""
    with pytest.MonkeyPatch.context() as patch:
        if largest is not None:
            patch.setattr(gradient_sum, "_BUCKET_BYTES", {"cpu": largest})
        modules = parts(dtype)
        shared = GradientSum([*parameters(modules).values()])
        steps = []
        for step in range(3):
            nn.ModuleDict(modules).zero_grad()
            if step < 2:
                shared.start()
            loss_of(modules, engine.rank).backward()  # type: ignore[no-untyped-call]
            numbers = shared.finish([engine.rank, MANY] if step < 2 else [])
            layouts = {
                n: p.grad.is_contiguous()
                for n, p in parameters(modules).items()
                if p.grad is not None and not p.grad.is_sparse
            }
            steps.append((gradients(modules), numbers, layouts))
        nn.ModuleDict(modules).zero_grad()
        shared.finish()
        nothing = gradients(modules)
        del shared
        left = [len(p._post_accumulate_grad_hooks or ()) for p in parameters(modules).values()]
    return {"steps": steps, "nothing": nothing, "hooks": sum(left)}


def sent_twice() -> str:
    """Two backward passes where one is expected, as in a checkpoint that is reentrant."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient_sum, "_BUCKET_BYTES", {"cpu": 1})
        model = nn.Linear(4, 4)
        shared = GradientSum([*model.parameters()])
        shared.start()
        loss = model(torch.ones(1, 4)).sum()
        loss.backward(retain_graph=True)
        with pytest.raises(TrainingError) as caught:
            loss.backward()
        shared.finish()
    return str(caught.value)


CASES: dict[str, tuple[torch.dtype, int | None]] = {
    "one bucket": (torch.float64, None),
    "several buckets": (torch.float64, 200),
    "a bucket for each": (torch.float64, 1),
    "half precision": (torch.bfloat16, 100),
}


def run_cases() -> Any:
    torch.set_num_threads(1)
    engine = make_engine()
    cases = {name: summed(engine, *options) for name, options in CASES.items()}
    return engine.gather({**cases, "sent twice": sent_twice()})


@pytest.fixture(scope="module")
def found(forked_workers: None) -> list[dict[str, Any]]:
    """What each case gave in each process."""
    with pickled_by_value(__name__):
        return run_in_processes(run_cases, PROCESSES)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_sum_is_that_of_a_loss_that_is_a_sum(found: list[dict[str, Any]], name: str) -> None:
    dtype, _ = CASES[name]
    modules = parts(dtype)
    for rank in range(PROCESSES):
        loss_of(modules, rank).backward()  # type: ignore[no-untyped-call]
    expected = gradients(modules)
    assert expected["unused.weight"] is None
    for each in found:
        for own, _, layouts in each[name]["steps"]:
            torch.testing.assert_close(own, expected)
            assert layouts["linear.weight"]
        sums = [numbers for _, numbers, _ in each[name]["steps"]]
        assert sums == [[3.0, 3 * MANY], [3.0, 3 * MANY], []]


@pytest.mark.parametrize("name", CASES)
def test_without_gradients_none_are_set(found: list[dict[str, Any]], name: str) -> None:
    for each in found:
        assert set(each[name]["nothing"].values()) == {None}
        assert each[name]["hooks"] == 0


def test_a_gradient_that_was_sent_must_not_change(found: list[dict[str, Any]]) -> None:
    for each in found:
        assert "use_reentrant=False" in each["sent twice"]
