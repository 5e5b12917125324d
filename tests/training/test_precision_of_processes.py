"""Two processes in lower precision take the steps of one that has the rows of both."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from perceptrain import FFNN, SkipBatch, TrainConfig, Trainer
from perceptrain_core.engine.launch import run_in_processes

ROWS, STEPS = 6, 8


def batches() -> list[Any]:
    """Return a batch for each process and step."""
    generator = torch.Generator().manual_seed(1)
    inputs = [torch.randn(ROWS, 2, generator=generator) for _ in range(2 * STEPS)]
    return [(x, (x[:, :1] - x[:, 1:]).sin()) for x in inputs]


def joined(pairs: list[Any]) -> list[Any]:
    return [
        tuple(torch.cat(parts) for parts in zip(*pairs[n : n + 2], strict=True))
        for n in range(0, len(pairs), 2)
    ]


def net() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Sequential(FFNN([2, 8, 8], nn.Tanh()), nn.Dropout(0), nn.Linear(8, 1))


def mse(batch: Any, model: nn.Module) -> Any:
    # Small enough for the first scale of gradients in half precision.
    return 0.1 * F.mse_loss(model(batch[0]).float(), batch[1].float()), {}


def steep(batch: Any, model: nn.Module) -> Any:
    """Have gradients that overflow with the first scales in the second process."""
    loss, metrics = mse(batch, model)
    in_second = any(torch.equal(batch[0], x) for x, _ in batches()[1::2])
    return (3e2 if in_second else 1e-4) * loss, metrics


def skip_at_a_row(batch: Any, model: nn.Module) -> Any:
    """Skip the batch that has the row 5, which only one of two processes has."""
    if bool((batch[0] == batches()[5][0][0]).all(1).any()):
        raise SkipBatch
    return mse(batch, model)


def nan_at_a_row(batch: Any, model: nn.Module) -> Any:
    loss, metrics = mse(batch, model)
    found = bool((batch[0] == batches()[5][0][0]).all(1).any())
    return (loss * float("nan") if found else loss), metrics


#: The loss, the settings, and how close the weights are.
CASES: dict[str, Any] = {
    "bf16-true": (mse, {"precision": "bf16-true"}, 2e-2),
    "bf16-mixed": (mse, {"precision": "bf16-mixed"}, 2e-3),
    "fp16-mixed": (mse, {"precision": "fp16-mixed"}, 1e-3),
    "clipped": (mse, {"precision": "fp16", "grad_clip": 0.1, "log_grad_norm": True}, 1e-3),
    "skips": (skip_at_a_row, {"precision": "fp16"}, 1e-3),
    "nan": (nan_at_a_row, {"precision": "fp16", "on_nonfinite": "skip"}, 1e-3),
    "accumulated": (mse, {"precision": "fp16", "accumulate": 2}, 1e-3),
    "recomputed": (mse, {"activation_checkpointing": True}, 1e-6),
    "recomputed fp16": (mse, {"activation_checkpointing": True, "precision": "fp16"}, 1e-3),
}
OVERFLOWS = "overflows"


def trained(case: str, data: list[Any]) -> dict[str, Any]:
    loss_fn, settings, _ = CASES.get(case, (steep, {"precision": "fp16"}, None))
    plain = {"max_iter": 1, "verbose": False, "tracking_tool": "none"}
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-5 if loss_fn is steep else 0.5)
    config = TrainConfig(**{**plain, **settings})
    trainer = Trainer(model, optimizer, config, loss_fn, data)
    trainer.fit()
    scaler = trainer.grad_scaler
    return {
        "weights": torch.cat([p.detach().flatten().double() for p in model.parameters()]),
        "dtypes": {p.dtype for p in model.parameters()},
        "steps": trainer.global_step,
        "scale": None if scaler is None else scaler.get_scale(),
    }


def all_cases() -> dict[str, Any]:
    from perceptrain_core.engine import make_engine

    results = {case: trained(case, batches()) for case in (*CASES, OVERFLOWS)}
    return {"both": make_engine().gather(results)}


@pytest.fixture(scope="module")
def two_processes(forked_workers: None) -> list[dict[str, Any]]:
    return run_in_processes(all_cases, 2)["both"]  # type: ignore[no-any-return]


def change(weights: Tensor) -> Tensor:
    before = torch.cat([p.detach().flatten().double() for p in net().parameters()])
    return weights - before


@pytest.mark.filterwarnings("ignore:.*batches were skipped")
@pytest.mark.parametrize("case", CASES)
def test_two_processes_are_one(two_processes: list[dict[str, Any]], case: str) -> None:
    first, second = (process[case] for process in two_processes)
    expected = trained(case, joined(batches()))
    assert torch.equal(first["weights"], second["weights"])
    for name in ("dtypes", "steps", "scale"):
        assert first[name] == second[name] == expected[name]
    assert change(expected["weights"]).norm() > 0
    distance = (first["weights"] - expected["weights"]).norm()
    assert distance <= CASES[case][2] * expected["weights"].norm()


def test_the_cases_are_what_they_say(two_processes: list[dict[str, Any]]) -> None:
    found = two_processes[0]
    assert found["bf16-true"]["dtypes"] == {torch.bfloat16}
    assert found["fp16-mixed"]["steps"] == STEPS
    assert found["accumulated"]["steps"] == STEPS // 2
    assert found["skips"]["steps"] == found["nan"]["steps"] == STEPS - 1


def test_an_overflow_in_one_process_skips_the_step_in_both(
    two_processes: list[dict[str, Any]],
) -> None:
    first, second = (process[OVERFLOWS] for process in two_processes)
    assert torch.equal(first["weights"], second["weights"])
    assert first["steps"] == second["steps"]
    assert 0 < first["steps"] < STEPS
    assert first["scale"] == second["scale"] == 65536 / 2 ** (STEPS - first["steps"])
