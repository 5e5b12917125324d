"""Two processes take the steps of one process that has all rows in one batch.

The terms of the losses have means of their own, in other proportions in each batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import FFNN, PINN, Counted, TrainConfig, Trainer, WeightedLoss, Weighting
from perceptrain.errors import LossContractError
from perceptrain_core.engine.distributed import DistributedEngine
from perceptrain_core.engine.launch import run_in_processes

STEPS, BATCHES = 2, 4


def net(outputs: int = 1) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return FFNN([2, 5, outputs], nn.Tanh()).double()


def pinn() -> nn.Module:
    return PINN(net(), {"inner": lambda x, u: u(x) - x[:, :1], "edge": lambda x, u: u(x)})


def random_rows(rows: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 2, dtype=torch.float64, generator=generator)


def points() -> list[dict[str, Tensor]]:
    """Batches whose parts have rows in other proportions."""
    rows = [(10, 3), (5, 4), (2, 6), (1, 1)]
    sizes = [{"inner": inner, "edge": edge} for inner, edge in rows]
    return [
        {name: random_rows(size, 10 * n + size) for name, size in batch.items()}
        for n, batch in enumerate(sizes)
    ]


def equal_points() -> list[dict[str, Tensor]]:
    """Batches whose parts have rows in equal proportions, but more in some batches."""
    return [
        {"inner": random_rows(2 * size, size), "edge": random_rows(size, 9 + size)}
        for size in (3, 5, 1, 2)
    ]


def points_by_process() -> list[dict[str, Tensor]]:
    """Batches in proportions that are equal in each process, and differ between them."""
    rows = [(8, 2), (3, 5), (4, 1), (6, 10)]
    return [
        {"inner": random_rows(inner, inner), "edge": random_rows(edge, 20 + edge)}
        for inner, edge in rows
    ]


def labelled() -> list[tuple[Tensor, Tensor]]:
    inputs = [random_rows(size, size) for size in (7, 3, 5, 2)]
    return [(x, x.sum(1, keepdim=True).sin()) for x in inputs]


def two_heads(batch: Any, model: nn.Module) -> Any:
    """Terms that are a mean over some labels, over rows, and a sum."""
    inputs, labels = batch
    errors = model(inputs) - labels
    few = errors[labels > 0.3]
    terms = {
        "few": few.square().sum() / max(len(few), 1),
        "rows": errors.abs().mean(),
        "sum": errors.square().sum(),
    }
    loss = terms["few"] + 2 * terms["rows"] + terms["sum"]
    weights = {"few": 1.0, "rows": 2.0, "sum": 1.0}
    return loss, Counted(terms, {"few": len(few), "sum": None}, weights)


def masked_points(batch: Any, model: nn.Module) -> Any:
    """Terms that are means over some rows of the parts that they are named after."""
    residuals = {name: model(x)[x[:, 0] > -0.5] for name, x in batch.items()}
    terms = {name: r.square().sum() / max(len(r), 1) for name, r in residuals.items()}
    counts = {name: len(r) for name, r in residuals.items()}
    return sum(terms.values()), Counted(terms, counts, dict.fromkeys(terms, 1.0))


def by_value(*counting: bool) -> list[dict[str, Tensor]]:
    """Batches of equal parts, of which all rows count in `masked_points`, or only some."""
    batches = [{n: random_rows(4, 30 + 9 * k + len(n)) for n in ("a", "bc")} for k in range(4)]
    for batch, whole in zip(batches, counting, strict=True):
        for part in batch.values():
            part[:, 0] = part[:, 0].abs() if whole else torch.tensor([0.0, -1.0, -2.0, 3.0])
        if not whole:
            batch["a"][1, 0] = 1.0
    return batches


def heads_in_another_order(batch: Any, model: nn.Module) -> Any:
    """The same as `two_heads`; the second process has its terms in another order."""
    loss, terms = two_heads(batch, model)
    names = [*terms] if len(batch[0]) in (7, 5) else [*terms][::-1]
    return loss, Counted({name: terms[name] for name in names}, terms.count, terms.terms)


def other_heads(batch: Any, model: nn.Module) -> Any:
    """Terms that a process with few rows does not have, all of them or one."""
    if len(batch[0]) == 2:
        return model(batch[0]).mean(), {}
    loss, terms = two_heads(batch, model)
    kept = [name for name in terms if len(batch[0]) != 3 or name != "few"]
    counts = {name: count for name, count in terms.count.items() if name in kept}
    return loss, Counted({n: terms[n] for n in kept}, counts, dict.fromkeys(kept, 1.0))


class Branches(nn.Module):
    """A model of which each process uses other parameters, and buffers change in training."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.unused = net(), net(), net()
        self.used = nn.Embedding(4, 1, sparse=True).double()
        nn.init.ones_(self.used.weight)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if len(x) == 17:  # all rows in one batch
            parts = x.split([7, 3, 5, 2])
            return torch.cat([self.branch(part) for part in parts])
        return self.branch(x)

    def branch(self, x: Tensor) -> Tensor:
        branch = self.first if len(x) in (7, 5) else self.second
        rows = torch.zeros(len(x), dtype=torch.long) if len(x) == 3 else None
        return branch(x) if rows is None else branch(x) + self.used(rows)


class GivenWeights(Weighting):
    def update(self, terms: Any, grads: Any) -> dict[str, Tensor]:
        return {"edge": torch.tensor(3.0, dtype=torch.float64)}


#: Losses, batches and models.
CASES: dict[str, tuple[Any, Callable[[], list[Any]], Callable[[], nn.Module]]] = {
    "points": ("mse", points, pinn),
    "equal": ("mse", equal_points, pinn),
    "by_process": ("mse", points_by_process, pinn),
    "weighted": (WeightedLoss("mse", GivenWeights()), points, pinn),
    "sums": ({"name": "mse", "reduction": "sum"}, points, pinn),
    "masked": (masked_points, points, net),
    "some_by_value": (masked_points, lambda: by_value(True, True, False, True), net),
    "one_process_by_value": (masked_points, lambda: by_value(True, False, True, False), net),
    "two_heads": (two_heads, labelled, net),
    "another_order": (heads_in_another_order, labelled, net),
    "branches": (lambda b, m: (F.l1_loss(m(b[0]), b[1]), {}), labelled, Branches),
}

#: DistributedDataParallel takes sparse gradients only if all processes have them.
SINGLE = [case for case in CASES if case != "branches"]


def together(batches: list[Any]) -> list[Any]:
    """Return one batch with the rows of all."""
    if isinstance(batches[0], dict):
        return [{name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}]
    return [tuple(torch.cat(parts) for parts in zip(*batches, strict=True))]


def trained(
    case: str, accumulate: int, whole: bool = False, optimizer: str = "sgd"
) -> dict[str, Any]:
    loss, make_batches, make_model = CASES[case]
    batches = together(make_batches()) if whole else make_batches()
    config = TrainConfig(max_iter=STEPS, accumulate=accumulate, verbose=False, tracking_tool="none")
    trainer = Trainer(make_model(), {"name": optimizer, "lr": 0.05}, config, loss, batches)
    trainer.fit()
    unused = [n for n, p in trainer.model.named_parameters() if p.grad is None]
    weights = torch.cat([p.detach().flatten() for p in trainer.model.parameters()])
    return {"weights": weights, "unused": unused, "steps": trainer.global_step}


def all_cases() -> dict[str, Any]:
    from perceptrain_core.engine import make_engine

    results = {case: trained(case, accumulate=BATCHES // 2) for case in CASES}
    # One batch for each process: the first two batches are a step.
    single = {}
    for case in SINGLE:
        loss, make_batches, make_model = CASES[case]
        CASES[case] = loss, lambda make=make_batches: make()[:2], make_model
        single[case] = trained(case, accumulate=1)
    errors = []
    for batches in labelled()[:2], labelled()[2:]:
        CASES["other"] = other_heads, lambda own=batches: own, net
        with pytest.raises(LossContractError) as error:
            trained("other", accumulate=1)
        errors.append(str(error.value))
    with pytest.MonkeyPatch.context() as patched:
        totals = DistributedEngine.totals

        def as_on_gpu(engine: Any, counts: Any) -> list[Any]:
            return [*torch.tensor(totals(engine, counts), dtype=torch.float64)]

        patched.setattr(DistributedEngine, "totals", as_on_gpu)
        CASES["other"] = other_heads, lambda: labelled()[:2], net
        with pytest.raises(LossContractError) as error:
            trained("other", accumulate=1)
        errors.append(str(error.value))
    own = {"accumulated": results, "single": single, "errors": errors}
    return {"both": make_engine().gather(own)}


@pytest.fixture(scope="module")
def two_processes(forked_workers: None) -> list[dict[str, Any]]:
    return run_in_processes(all_cases, 2)["both"]  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_accumulated_batches_are_one_large_batch(
    two_processes: list[dict[str, Any]], case: str
) -> None:
    truth = trained(case, 1, whole=True)
    for process in two_processes:
        result = process["accumulated"][case]
        torch.testing.assert_close(result["weights"], truth["weights"], rtol=1e-9, atol=1e-12)
        assert result["steps"] == truth["steps"] == STEPS
        assert result["unused"] == truth["unused"]


@pytest.mark.slow
def test_other_terms_in_another_process_are_refused(two_processes: list[dict[str, Any]]) -> None:
    for process in two_processes:
        one, all_of_them, on_gpu = process["errors"]
        assert "'few', 'rows' in process 0, but 'rows' in process 1" in one
        assert on_gpu == one
        assert "in some processes, but none in others" in all_of_them


@pytest.mark.parametrize("case", ["some_by_value", "one_process_by_value"])
@pytest.mark.parametrize("optimizer", ["sgd", "lbfgs"])
def test_batches_that_wait_and_others_are_one_mean_in_one_process(
    case: str, optimizer: str
) -> None:
    accumulated, truth = (trained(case, n, n == 1, optimizer) for n in (BATCHES, 1))
    torch.testing.assert_close(accumulated["weights"], truth["weights"], rtol=1e-9, atol=1e-12)


def test_terms_for_some_batches_only_are_refused() -> None:
    def loss(batch: Any, model: nn.Module) -> Any:
        value, terms = masked_points(batch, model)
        return value, terms if len(batch["edge"]) > 3 else {}

    config = TrainConfig(max_iter=1, accumulate=4, verbose=False, tracking_tool="none")
    trainer = Trainer(net(), {"name": "sgd", "lr": 0.05}, config, loss, points())
    with pytest.raises(LossContractError, match="for some batches of a step, but none for others"):
        trainer.fit()


@pytest.mark.parametrize("case", SINGLE)
def test_a_batch_of_each_process_is_one_large_batch(
    two_processes: list[dict[str, Any]], case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss, make_batches, make_model = CASES[case]
    monkeypatch.setitem(CASES, case, (loss, lambda: make_batches()[:2], make_model))
    truth = trained(case, 1, whole=True)
    for process in two_processes:
        result = process["single"][case]
        torch.testing.assert_close(result["weights"], truth["weights"], rtol=1e-9, atol=1e-12)
