"""Two processes that gather their samples train as one process with the whole batch."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import cloudpickle
import pytest
import torch
from torch import Tensor, nn

from perceptrain import Accelerator, TrainConfig, Trainer, get_loss

ROWS, CLASSES, SIZE = 22, 3, 4
RANDOM = torch.Generator().manual_seed(4)
DATA = (
    torch.randn(ROWS, 2, dtype=torch.float64, generator=RANDOM),
    torch.arange(ROWS) % CLASSES,
)
#: Batches of unequal sizes: two for each step of two processes.
UNEVEN = [tuple(part[a:b] for part in DATA) for a, b in ((0, 3), (3, 8), (8, 14), (14, 16))]
WHOLE = [tuple(part[a:b] for part in DATA) for a, b in ((0, 8), (8, 16))]
PROXIES = {"num_classes": CLASSES, "embedding_size": SIZE}
LOSSES: dict[str, dict[str, Any]] = {
    **{name: {} for name in ("triplet", "contrastive", "nt_xent", "multi_similarity", "circle")},
    "supcon": {},
    "supcon_sum": {"reducer": "sum"},
    "triplet_mined": {"miner": "batch_hard"},
    "proxy_anchor": PROXIES,
    "arcface": {**PROXIES, "miner": "multi_similarity", "weight_regularizer": "lp"},
}


def trained(case: str, batch_size: int, gather: bool, data: Any = DATA) -> dict[str, Any]:
    name = case.removesuffix("_sum").removesuffix("_mined")
    with torch.random.fork_rng():
        torch.manual_seed(5)
        model = nn.Linear(2, SIZE).double()
        loss = get_loss(name, **LOSSES[case], gather=gather).double()
    config = TrainConfig(
        max_iter=3,
        batch_size=batch_size,
        shuffle=False,
        verbose=False,
        tracking_tool="none",
    )
    parameters = [*model.parameters(), *loss.parameters()]
    trainer = Trainer(model, torch.optim.SGD(parameters, lr=0.02), config, loss, data)
    trainer.fit()
    weights = torch.cat([parameter.detach().flatten() for parameter in parameters])
    return {"weights": weights, "history": list(trainer.history)}


def in_two_processes() -> Any:
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    gathered = {case: trained(case, 4, True) for case in LOSSES}
    with pytest.warns(UserWarning, match=r"SupConLoss.*gather=True uses them all"):
        own = trained("supcon", 4, False)
    uneven = {f"{case}_uneven": trained(case, 4, True, UNEVEN) for case in ("supcon", "arcface")}
    return gathered | uneven | {"own": own}


@pytest.fixture(scope="module")
def two() -> Any:
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        return Accelerator(nprocs=2, compute_setup="cpu").distribute(in_two_processes)()
    finally:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.slow
@pytest.mark.parametrize("case", LOSSES)
def test_two_processes_train_as_one(two: Any, case: str) -> None:
    alone = trained(case, 8, False)
    torch.testing.assert_close(two[case]["weights"], alone["weights"], rtol=1e-9, atol=1e-12)
    for row, expected in zip(two[case]["history"], alone["history"], strict=True):
        assert row == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["supcon", "arcface"])
def test_processes_may_have_unequal_batches(two: Any, case: str) -> None:
    alone = trained(case, 8, False, WHOLE)
    found = two[f"{case}_uneven"]
    torch.testing.assert_close(found["weights"], alone["weights"], rtol=1e-9, atol=1e-12)


def difference(one: Tensor, other: Tensor) -> float:
    return (one - other).abs().max().item()


def test_without_it_they_do_not(two: Any) -> None:
    alone = trained("supcon", 8, False)["weights"]
    assert difference(two["own"]["weights"], alone) > 1e-4
