"""A captured step reads no value that the policy for NaN does not need: a GPU waits for each."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from perceptrain import TrainConfig, Trainer
from perceptrain.errors import NonFiniteLossError
from perceptrain_core.capture import program
from perceptrain_core.training.contract.fused_guard import FusedLossGuard
from perceptrain_core.training.steppers.captured import CapturedStepper

READS = "item", "tolist", "__bool__", "__float__", "__int__", "numpy"


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run graphs as they are: compiling takes seconds."""
    monkeypatch.setattr(program, "_compiled", lambda graph, inputs: graph)


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard the loss as on a GPU; fused optimizers of the CPU leave out a step the same way."""

    def fits(optimizer: Any, device: torch.device) -> bool:
        return bool(getattr(optimizer, "_step_supports_amp_scaling", False))

    monkeypatch.setattr(FusedLossGuard, "fits", staticmethod(fits))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The reads of tensors within steps so far, by name."""
    seen: list[str] = []
    take, inside = CapturedStepper.take, [False]

    def taken(self: CapturedStepper, batches: Any) -> Any:
        inside[0] = True
        try:
            return take(self, batches)
        finally:
            inside[0] = False

    def counted(name: str, function: Any) -> Any:
        def read(*args: Any) -> Any:
            seen.extend([name] * inside[0])
            return function(*args)

        return read

    monkeypatch.setattr(CapturedStepper, "take", taken)
    for name in READS:
        monkeypatch.setattr(Tensor, name, counted(name, getattr(Tensor, name)))
    return seen


def loss(batch: Any, model: nn.Module) -> Any:
    error = (model(batch[0]) - batch[1]).square().mean()
    return error, {"error": error}


def train(
    batches: int, compile: bool | str, fused: bool = True, nan_at: int = -1, **options: Any
) -> nn.Module:
    """Train for one epoch; if a label is NaN, until the loss is read."""
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    x = torch.randn(50, 4, 3)[:batches]
    y = x.sum(2, keepdim=True)
    if nan_at >= 0:
        y[nan_at] = torch.nan
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=fused)
    config = TrainConfig(
        max_iter=1, compile=compile, verbose=False, tracking_tool="none", **options
    )
    trainer = Trainer(model, optimizer, config, loss_fn=loss)
    fails = pytest.raises(NonFiniteLossError, match=f"batch {nan_at + 1}")
    with fails if nan_at >= 0 else nullcontext():
        trainer.fit([*zip(x, y, strict=True)])
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "each"),
    [
        ({"fused": True}, 0),
        ({"fused": True, "log_grad_norm": True, "grad_clip": 1.0}, 0),
        ({"fused": False}, 1),  # the loss, which must be known before the next step
        ({"fused": False, "on_nonfinite": "ignore"}, 0),
    ],
)
def test_reads_of_a_captured_step(
    options: dict[str, Any], each: int, on_a_gpu: None, reads: list[str]
) -> None:
    counts = []
    for batches in (20, 50):  # of both runs, the steps 1, 2 and 11 are compared
        reads.clear()
        train(batches, "strict", **options)
        counts.append(len(reads))
    assert counts[0] > 0
    assert counts[1] - counts[0] == 30 * each


def test_no_step_changes_parameters_after_a_loss_that_is_read_later(on_a_gpu: None) -> None:
    before = [*train(25, "strict").parameters()]
    captured = [*train(50, "strict", nan_at=25).parameters()]
    assert all(map(torch.equal, captured, before))
