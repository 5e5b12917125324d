"""Validations of a sharded model, which stays sharded, in two and three processes."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from perceptrain import Callback, SkipBatch, TrainConfig, Trainer
from perceptrain.errors import LossContractError, TrainingError
from perceptrain_core.engine.launch import run_in_processes

# Processes have the filters of warnings of the one that starts them.
pytestmark = pytest.mark.filterwarnings("ignore:FSDP2-wrapped module")

WIDTH, LAYERS, ROWS = 32, 8, 8


def data(rows: int) -> tuple[Tensor, Tensor]:
    x = torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, x.sin()


def live_bytes() -> int:
    """Return the bytes of all tensors, each storage once; gathered and dropped ones have none."""
    tensors = [each for each in gc.get_objects() if type(each) in (Tensor, nn.Parameter)]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    return sum(storages.values())


class Layers(nn.Sequential):
    """Notes the bytes in the middle of an evaluation, if it has a list for them."""

    bytes: list[int] | None = None

    def forward(self, x: Tensor) -> Tensor:
        for number, layer in enumerate(self):
            x = layer(x).tanh()
            if self.bytes is not None and not self.training and number == LAYERS // 2:
                self.bytes.append(live_bytes())
        return x


class Held(Callback):
    """Notes the bytes between an epoch and the next, and what a user's callback sees."""

    uses_model: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__("val_epoch_start")
        self.bytes = 0

    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        self.bytes = live_bytes()


class Evaluated(Callback):
    """Looks at the model and its average after each batch of a validation."""

    def __init__(self) -> None:
        super().__init__("val_batch_end")
        self.sums: list[float] = []

    def run_callback(self, trainer: Any, config: Any, writer: Any) -> None:
        for each in (trainer.model, trainer.averaged_model):
            self.sums.append(float(sum(p.sum() for p in each.parameters())))


def weights_at_once(batch: Any, model: nn.Module) -> Any:
    """A loss that uses parameters without their module, but only in evaluations."""
    x, y = batch
    loss = (model(x) - y).square().mean()
    if not model.training:
        loss = loss + sum(p.square().sum() for p in model.parameters())
    return loss, {}


def penalty_alone(batch: Any, model: nn.Module) -> Any:
    """A loss that shows only by its result, a ``DTensor``, that it needs whole parameters."""
    x, y = batch
    loss = (model(x) - y).square().mean()
    if not model.training:
        loss = sum(p.square().sum() for p in model.parameters())
    return loss, {}


class Rows:
    """A metric that counts rows."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.rows = 0

    def update(self, outputs: Tensor, labels: Tensor) -> None:
        self.rows += len(labels)

    def compute(self) -> float:
        return self.rows

    def merge_state(self, other: Rows) -> None:
        self.rows += other.rows


def number_in_evaluation(batch: Any, model: nn.Module) -> Any:
    loss = (model(batch[0]) - batch[1]).square().mean()
    return (loss, {}) if model.training else (loss.item(), {})


def skips(batch: Any, model: nn.Module) -> Any:
    x, y = batch
    if not model.training and bool((x == data(1)[0]).all(1).any()):
        raise SkipBatch
    return (model(x) - y).square().mean(), {}


def train(folder: Path, rows: int = 1, **settings: Any) -> Trainer:
    """Train with a validation of so many batches, of two rows each."""
    loss_fn, found = settings.pop("loss_fn", "mse"), settings.pop("found", None)
    with torch.random.fork_rng():
        torch.manual_seed(2)
        model = Layers(*(nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))).double()
    model.bytes = found
    plain = {"max_iter": 1, "shuffle": False, "verbose": False, "tracking_tool": "none"}
    plain |= {"root_folder": folder, "batch_size": 2, "strategy": "fsdp", "shard_modules": 10}
    plain |= {"ema": 0.5, "val_every": 1}
    metrics = settings.pop("metrics", [])
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    config = TrainConfig(**(plain | settings))
    trainer = Trainer(model, optimizer, config, loss_fn, data(ROWS), data(rows), metrics=metrics)
    trainer.fit()
    return trainer


def outcome(trainer: Trainer) -> dict[str, Any]:
    return {"weights": dict(trainer.model.state_dict()), "history": list(trainer.history)}


def work(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    held, during = Held(), list[int]()
    train(folder, 4, callbacks=[held], found=during)
    found["bytes"] = max(during) - held.bytes
    for strategy in ("ddp", "fsdp"):
        for rows in (1, 7):  # a single batch, of one process; and one more in one of them
            found[f"{rows} rows {strategy}"] = outcome(train(folder, rows, strategy=strategy))
        own = train(folder, 7, loss_fn=weights_at_once, strategy=strategy)
        found[f"whole {strategy}"] = outcome(own)
        own = train(
            folder,
            7,
            loss_fn=penalty_alone,
            strategy=strategy,
            max_iter=2,
            metrics={"rows": Rows()},
        )
        found[f"counted {strategy}"] = outcome(own)
        seen = Evaluated()
        found[f"seen {strategy}"] = outcome(train(folder, 8, callbacks=[seen], strategy=strategy))
        found[f"seen {strategy}"]["sums"] = seen.sums
    with pytest.raises(LossContractError) as error:
        train(folder, loss_fn=number_in_evaluation)
    found["refused"] = str(error.value)
    return found


@pytest.fixture(scope="module")
def found(forked_workers: None, tmp_path_factory: Any) -> dict[str, Any]:
    return run_in_processes(work, 2, tmp_path_factory.mktemp("passes"))


@pytest.mark.slow
def test_no_process_holds_the_whole_model(found: dict[str, Any]) -> None:
    """During a validation of the average it holds two layers more than between epochs, not all."""
    layer = 8 * WIDTH * (WIDTH + 1)
    assert layer <= found["bytes"] < LAYERS * layer / 2


@pytest.mark.slow
def test_a_batch_that_is_evaluated_again_counts_once(found: dict[str, Any]) -> None:
    assert [row["val_rows"] for row in found["counted fsdp"]["history"]] == [7, 7]


def test_the_contract_of_the_loss_is_checked(found: dict[str, Any]) -> None:
    assert "it must be a 0-dim tensor" in found["refused"]


@pytest.mark.parametrize("name", ["1 rows", "7 rows", "whole", "counted", "seen"])
def test_both_strategies_agree(name: str, found: dict[str, Any]) -> None:
    ddp, fsdp = found[f"{name} ddp"], found[f"{name} fsdp"]
    torch.testing.assert_close(fsdp, ddp, rtol=1e-9, atol=1e-11)


@pytest.mark.slow
def test_a_skipped_batch_is_refused(forked_workers: None, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"in an evaluation.*reshard_after_forward=False"):
        run_in_processes(lambda: train(tmp_path, 4, loss_fn=skips) and None, 2)
