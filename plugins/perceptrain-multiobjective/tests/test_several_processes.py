"""Each rule in two processes, compared with one process that has the rows of both."""

from __future__ import annotations

import sys
from typing import Any

import cloudpickle
import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, TrainConfig, Trainer, WeightedLoss

RULES: dict[str, dict[str, Any]] = {
    name: {}
    for name in ("pcgrad", "mgda", "imtl_g", "aligned_mtl", "config", "upgrad", "dual_proj")
}
#: Their solvers stop at a tolerance.
SOLVED: dict[str, dict[str, Any]] = {"cagrad": {}, "fairgrad": {}, "nash_mtl": {}}
SIZES = (4, 6, 3, 5)  # rows of the batches


def batches(processes: int) -> list[tuple[Tensor, Tensor]]:
    x = torch.linspace(-1, 1, sum(SIZES), dtype=torch.float64).unsqueeze(-1).split(SIZES)
    whole = [torch.cat(x[i : i + processes]) for i in range(0, len(SIZES), processes)]
    return [(rows, (3 * rows).sin()) for rows in whole]


def terms(batch: Any, model: nn.Module) -> tuple[Tensor, dict[str, Tensor]]:
    x, y = batch
    outputs = model(x)
    parts = {
        "fit": (outputs[:, :1] - y).square().mean(),
        "other": 30 * (outputs[:, 1:] - 0.5 * x - 0.3).square().mean(),
        "size": (outputs.sum(1) - 1).square().mean(),
    }
    return parts["fit"] + parts["other"] + parts["size"], parts


class AllRules(nn.Module):
    """Each rule trains a model of its own, in one run."""

    def __init__(self) -> None:
        super().__init__()
        self.losses = nn.ModuleDict(
            {name: WeightedLoss(terms, {"name": name, **o}) for name, o in (RULES | SOLVED).items()}
        )

    def forward(self, batch: Any, model: Any) -> tuple[Tensor, dict[str, Tensor]]:
        losses = [loss(batch, model[name])[0] for name, loss in self.losses.items()]
        return torch.stack(losses).sum(), {}


def trained(processes: int) -> dict[str, Any]:
    torch.manual_seed(0)
    own = {name: FFNN([1, 6, 2], nn.Tanh()).double() for name in RULES | SOLVED}
    model, loss_fn = nn.ModuleDict(own), AllRules()
    config = TrainConfig(max_iter=2, nprocs=processes, seed=1, verbose=False)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    Trainer(model, optimizer, config, loss_fn).fit(batches(3 - processes))
    return {
        name: {**loss.metric_weights, "parameters": nn.utils.parameters_to_vector(p.parameters())}
        for (name, loss), p in zip(loss_fn.losses.items(), model.values(), strict=True)
    }


@pytest.fixture(scope="module")
def found() -> tuple[dict[str, Any], dict[str, Any]]:
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OMP_NUM_THREADS", "1")
            return trained(1), trained(2)
    finally:
        cloudpickle.unregister_pickle_by_value(module)


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES | SOLVED)
def test_two_processes_are_one_with_the_rows_of_both(found: Any, name: str) -> None:
    alone, both = found
    tolerance = 1e-4 if name in SOLVED else 1e-7
    torch.testing.assert_close(both[name], alone[name], rtol=tolerance, atol=tolerance)
    assert set(alone[name].values()) != {1.0}
