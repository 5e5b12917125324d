"""Steps through the compiler, which takes seconds: each kind of them once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from perceptrain import TrainConfig, Trainer, get_optimizer, to_dataloader

from ..forked import ForkServer

SCRIPT = """
from torch import randn
from perceptrain import FFNN, TrainConfig, Trainer

config = TrainConfig(max_iter=3, compile=True, tracking_tool="none", batch_size=8)
trainer = Trainer(FFNN([2, 1]), "sgd", config, loss_fn="mse")
trainer.fit((randn(32, 2), randn(32, 1)))
print("trained", len(trainer.history))
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rows() -> Any:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(100, 3, generator=generator)
    return to_dataloader(x, x.prod(1, keepdim=True), batch_size=10)


def noisy() -> nn.Module:
    return nn.Sequential(
        nn.Linear(3, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 1)
    )


def train(
    model: Callable[[], nn.Module], data: Any, loss: Any, optimizer: Any, **options: Any
) -> Trainer:
    torch.manual_seed(0)
    built = model()
    steps = options.pop("steps")
    config = TrainConfig(max_steps=steps, seed=0, tracking_tool="none", progress=False, **options)
    named = {"lr": 1e-3, **optimizer}
    trainer = Trainer(built, get_optimizer(named, built.parameters()), config, loss_fn=loss)
    trainer.fit(data)
    return trainer


def assert_agree(case: dict[str, Any], tolerance: float) -> None:
    captured = train(**case, compile="strict")
    eager = train(**case, compile=False)
    for row, expected in zip(captured.history, eager.history, strict=True):
        assert row == pytest.approx(expected, rel=tolerance, abs=1e-7)
    for one, other in zip(captured.model.parameters(), eager.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.slow
def test_a_noisy_model_agrees_with_eager_training(capsys: pytest.CaptureFixture[str]) -> None:
    case = {
        "model": noisy,
        "data": rows(),
        "loss": "huber",
        "optimizer": {"name": "adamw"},
        "on_nonfinite": "skip",
        "grad_clip": 0.1,
        "lr_scheduler": {"name": "one_cycle", "max_lr": 0.01, "interval": "batch"},
        "ema": 0.99,
    }
    assert_agree(case | {"steps": 100}, 1e-3)
    shown = capsys.readouterr().out
    assert shown.startswith("compiling the step ...\n")
    assert "Compiled steps: 96 of " in shown


@pytest.mark.slow
def test_without_a_compiler_the_steps_are_eager(tmp_path: Path, forks: ForkServer) -> None:
    Path("script.py").write_text(SCRIPT)
    env = os.environ | {"PATH": "", "CXX": "", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = forks.run("script.py", env=env)
    assert done.returncode == 0, done.stderr
    assert "trained 3" in done.stdout
    assert "cannot be captured: it cannot be compiled" in done.stderr
    assert "compiler" in done.stderr


@pytest.mark.slow
def test_the_second_start_takes_the_code_from_the_cache(tmp_path: Path, forks: ForkServer) -> None:
    Path("script.py").write_text(SCRIPT)
    env = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    sources = []
    for _ in range(2):
        done = forks.run("script.py", env=env)
        assert done.returncode == 0, done.stderr
        sources.append(set((tmp_path / "cache").rglob("*.so")))
    assert sources[0]
    assert sources[0] == sources[1]
