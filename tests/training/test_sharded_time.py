"""Failures of one of two processes before and after the training of a sharded model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from perceptrain import FFNN, Callback, TrainConfig, Trainer
from perceptrain_core.engine.launch import run_in_processes
from perceptrain_core.training.resume import checkpoint_state

# Processes have the filters of warnings of the one that starts them.
pytestmark = pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")

BEFORE = [("begin_run", 1), ("open", 0), ("search", 0), ("train_start", 1)]
AFTER = [("end_run", 1), ("train_end", 0)]
Weights = dict[str, Tensor]


def stage(when: str) -> str:
    return when if when == "train_start" else "train_end"


class Fails(Callback):
    """Fails at some time in one of the processes."""

    uses_model: ClassVar[bool] = False

    def __init__(self, when: str, rank: int) -> None:
        super().__init__(stage(when))
        self.fails = when, rank

    def _reach(self, when: str, trainer: Any) -> None:
        if (when, trainer.engine.rank) == self.fails:
            raise OSError("no room")

    def begin_run(self, trainer: Any, resumed: bool) -> None:
        self._reach("begin_run", trainer)

    def end_run(self, trainer: Any) -> None:
        self._reach("end_run", trainer)

    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        self._reach(self.on.value, trainer)


class UsesModel(Callback):
    """Comes after the one that fails, and needs the shares of all processes."""

    def __init__(self, when: str) -> None:
        super().__init__(stage(when))

    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        assert next(trainer.model.parameters()).isfinite().all()


class FailsToOpen(Trainer):
    """Cannot open its tracker, which only the first process has."""

    def _open_session(self) -> Any:
        if self.engine.rank == 0 and self.config.callbacks:
            raise OSError("no room")
        return super()._open_session()


def unreadable(*given: Any) -> Any:
    raise PermissionError("no room")


def make(folder: Path, kind: type[Trainer], callbacks: list[Callback]) -> Trainer:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = FFNN([2, 6, 1], nn.Tanh()).double()
    x = torch.linspace(-1, 1, 16, dtype=torch.float64).view(8, 2)
    config = TrainConfig(
        max_iter=1,
        batch_size=2,
        shuffle=False,
        verbose=False,
        tracking_tool="none",
        root_folder=folder,
        strategy="fsdp",
        shard_modules=10,
        callbacks=callbacks,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    return kind(model, optimizer, config, "mse", (x, x.prod(1, keepdim=True)))


def weights(trainer: Trainer) -> Weights:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def fail(folder: Path, when: str, rank: int) -> dict[str, Any]:
    """Return the error of each process, the weights that are left, and those after another fit."""
    kind = FailsToOpen if when == "open" else Trainer
    trainer = make(folder, kind, [Fails(when, rank), UsesModel(when)])
    read = checkpoint_state.read_newest
    if when == "search":
        checkpoint_state.read_newest = unreadable
    try:
        with pytest.raises(Exception) as error:
            trainer.fit(resume=when == "search")
    finally:
        checkpoint_state.read_newest = read
    errors = trainer.engine.gather(f"{error.type.__name__}: {error.value}")
    left = weights(trainer)
    trainer.config.callbacks = []
    trainer.fit()
    return {"errors": errors, "left": left, "again": weights(trainer)}


def work(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {when: fail(folder, when, rank) for when, rank in BEFORE + AFTER}
    plain = make(folder, Trainer, [])
    found["weights"] = [weights(plain)]
    for _ in range(2):
        plain.fit()
        found["weights"].append(weights(plain))
    return found


@pytest.fixture(scope="module")
def found(forked_workers: None, tmp_path_factory: Any) -> dict[str, Any]:
    return run_in_processes(work, 2, tmp_path_factory.mktemp("failures"))  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize(("when", "rank"), BEFORE + AFTER)
def test_a_failure_outside_training_loses_nothing(
    when: str, rank: int, found: dict[str, Any]
) -> None:
    fits = int((when, rank) in AFTER)
    own = found[when]
    assert all("no room" in error for error in own["errors"])
    assert own["errors"][rank].startswith(("OSError", "PermissionError"))
    assert f"rocess {rank} failed" in own["errors"][1 - rank]
    torch.testing.assert_close(own["left"], found["weights"][fits], rtol=0, atol=0)
    torch.testing.assert_close(own["again"], found["weights"][fits + 1], rtol=1e-12, atol=1e-14)
